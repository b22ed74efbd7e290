"""What the catalog keeps encrypted: the URIs of clusters, which may hold passwords.

`FIELD_ENCRYPTION_KEYS` are Fernet keys: the first one encrypts, each of them decrypts.
"""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from tenancy.exceptions import Undecryptable

CACHE_MAX_VALUES = 1_024


def encrypt(text: str) -> str:
    """Return the text encrypted with the first key."""
    return _cipher(_keys()).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Return the text of a token; each is decrypted once in a process. Raises Undecryptable."""
    return _decrypt(token, _keys())


def decrypt_uncached(token: str) -> str:
    """Return the text of a token that is hardly read twice, and leave nothing of it in memory.

    Raises Undecryptable.
    """
    return _decrypt.__wrapped__(token, _keys())


def reencrypt(token: str) -> str:
    """Return the token of the same text under the first key. Raises Undecryptable."""
    try:
        return _cipher(_keys()).rotate(token.encode()).decode()
    except InvalidToken:
        raise Undecryptable from None


def is_of_first_key(token: str) -> bool:
    """Return whether a token needs none of the keys but the first."""
    try:
        Fernet(_keys()[0]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def are_keys(candidates: list[str]) -> bool:
    """Return whether there is a key, and each is 32 bytes in URL-safe base64."""
    try:
        _cipher(tuple(candidates))
    except ValueError:
        return False
    return bool(candidates)


def _keys() -> tuple[str, ...]:
    return tuple(settings.FIELD_ENCRYPTION_KEYS)


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


@lru_cache(maxsize=CACHE_MAX_VALUES)
def _decrypt(token: str, keys: tuple[str, ...]) -> str:
    try:
        return _cipher(keys).decrypt(token.encode()).decode()
    except InvalidToken:
        raise Undecryptable from None
