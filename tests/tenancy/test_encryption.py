"""Values are encrypted with the first key and decrypted with any; a lost key is named."""

import pytest
from cryptography.fernet import Fernet

from tenancy import encryption
from tenancy.exceptions import Undecryptable

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
SECRET = "mongodb://u:hunter2@host/"


@pytest.fixture(autouse=True)
def old_key(settings):
    settings.FIELD_ENCRYPTION_KEYS = [OLD]


def test_what_is_encrypted_does_not_show_and_comes_back():
    token = encryption.encrypt(SECRET)

    assert "hunter2" not in token
    assert encryption.decrypt(token) == SECRET


def test_every_key_decrypts_and_the_first_encrypts(settings):
    old = encryption.encrypt(SECRET)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]

    assert encryption.decrypt(old) == SECRET
    assert not encryption.is_of_first_key(old)
    assert encryption.is_of_first_key(encryption.encrypt(SECRET))


def test_reencrypted_value_needs_the_old_key_no_more(settings):
    old = encryption.encrypt(SECRET)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    new = encryption.reencrypt(old)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]

    assert encryption.decrypt(new) == SECRET
    for read in (encryption.decrypt, encryption.reencrypt):
        with pytest.raises(Undecryptable):
            read(old)


def test_value_is_decrypted_once_in_a_process(monkeypatch):
    token = encryption.encrypt(SECRET)
    encryption.decrypt(token)
    monkeypatch.setattr(encryption, "_cipher", None)

    assert encryption.decrypt(token) == SECRET


@pytest.mark.parametrize("keys", [[], ["short"], [OLD, "short"], ["ä" * 44]])
def test_what_is_no_key_is_not_taken_for_one(keys):
    assert encryption.are_keys([OLD])
    assert not encryption.are_keys(keys)
