"""A password is the same however a keyboard composes its characters."""

import unicodedata

import pytest

from accounts.models import User
from accounts.passwords import hash_password, matches

COMPOSED = unicodedata.normalize("NFC", "Zoë's très long mot")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.django_db
@pytest.mark.parametrize(("set_as", "typed_as"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_every_way_in_takes_every_spelling(set_as, typed_as):
    operator = User.objects.create_superuser("op@example.com", set_as)

    assert operator.check_password(typed_as)
    assert matches(typed_as, operator)


def test_hashes_of_both_spellings_open_each_other():
    user = User(password=hash_password(DECOMPOSED))

    assert user.check_password(COMPOSED)
    assert not user.check_password(COMPOSED + "!")
