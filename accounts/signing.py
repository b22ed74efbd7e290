"""The keys that access tokens are signed with: the secret of the service, or a key pair.

With `JWT_PRIVATE_KEY` (PEM, or the path of a file of it) tokens are signed with Ed25519 and name
their key as `kid`; without, with HS256. Exactly one algorithm is accepted at a time. The first
private key signs; every other one, and every public key, verifies what it signed before. A file is
looked at again whenever it has changed, so that a rotation needs no restart.
"""

import base64
import hashlib
import json
import logging
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

from tenancy.exceptions import Misconfigured

logger = logging.getLogger("tenantry.signing")

EDDSA, HS256 = "EdDSA", "HS256"
PEM_BEGIN = "-----BEGIN"
PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.+?-----END \1-----", re.DOTALL)
FILE_MAX_BYTES = 65_536


@dataclass(frozen=True, eq=False)
class KeyPair:
    """An Ed25519 key; one without its private half only verifies."""

    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None = None

    @property
    def x(self) -> str:
        """Return the public key as RFC 8037 writes it."""
        raw = self.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @property
    def kid(self) -> str:
        """Return the thumbprint of RFC 7638: the same wherever it is computed."""
        members = {"crv": "Ed25519", "kty": "OKP", "x": self.x}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def jwk(self) -> dict[str, str]:
        """Return the public half as a JSON Web Key."""
        return {
            "kty": "OKP", "crv": "Ed25519", "x": self.x,
            "kid": self.kid, "use": "sig", "alg": EDDSA,
        }  # fmt: skip


def make_key_pair() -> KeyPair:
    """Return a new key pair."""
    private = Ed25519PrivateKey.generate()
    return KeyPair(private.public_key(), private)


def parse_keys(text: str) -> tuple[KeyPair, ...]:
    """Return the keys in a text of PEM blocks. Raises Misconfigured, which repeats none of it."""
    keys = tuple(_parse_block(found[0]) for found in PEM_BLOCK.finditer(text))
    if not any(key.private for key in keys):
        raise Misconfigured("JWT_PRIVATE_KEY holds no Ed25519 private key in PEM.")
    return keys


def _parse_block(block: str) -> KeyPair:
    try:
        if "PUBLIC KEY" in block.splitlines()[0]:
            return KeyPair(_ed25519(serialization.load_pem_public_key(block.encode())))
        private = serialization.load_pem_private_key(block.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Misconfigured("JWT_PRIVATE_KEY holds a PEM block that cannot be read.") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise Misconfigured("JWT_PRIVATE_KEY holds a key that is not Ed25519.")
    return KeyPair(private.public_key(), private)


def _ed25519(key: Any) -> Ed25519PublicKey:
    if not isinstance(key, Ed25519PublicKey):
        raise Misconfigured("JWT_PRIVATE_KEY holds a key that is not Ed25519.")
    return key


def key_file() -> Path | None:
    """Return the file that holds the keys; None where they are not in a file."""
    value = settings.JWT_PRIVATE_KEY
    return None if not value or PEM_BEGIN in value else Path(value)


def key_pairs() -> tuple[KeyPair, ...]:
    """Return the key pairs, the signing one first; none where the secret signs."""
    if not settings.JWT_PRIVATE_KEY:
        return ()
    path = key_file()
    return _parsed(settings.JWT_PRIVATE_KEY) if path is None else _of_file(path)


def _of_file(path: Path) -> tuple[KeyPair, ...]:
    """Return the keys of a file; those of before while it cannot be read: tokens stay good."""
    try:
        found = os.stat(path)
        _last_good[path] = _read(path, found.st_mtime_ns, found.st_ino)
    except (OSError, Misconfigured) as error:
        if path not in _last_good:
            detail = f"JWT_PRIVATE_KEY: {path} cannot be read."
            raise Misconfigured(detail) from error
        _log_once(path, str(error))
    else:
        _logged.pop(path, None)
    return _last_good[path]


_last_good: dict[Path, tuple[KeyPair, ...]] = {}
_logged: dict[Path, str] = {}


def _log_once(path: Path, reason: str) -> None:
    if _logged.get(path) != reason:
        _logged[path] = reason
        logger.error("%s cannot be used (%s): tokens are signed with the keys of before.",
                     path, reason)  # fmt: skip


@lru_cache(maxsize=4)
def _read(path: Path, changed_ns: int, inode: int) -> tuple[KeyPair, ...]:
    with path.open("rb") as file:
        return _parsed(file.read(FILE_MAX_BYTES).decode(errors="replace"))


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[KeyPair, ...]:
    keys = parse_keys(text)
    return tuple(sorted(keys, key=lambda key: key.private is None))


class SigningBackend(TokenBackend):
    """simplejwt's codec with more than one key to verify with, and one to sign."""

    def __init__(self, pairs: tuple[KeyPair, ...], secrets: tuple[str, ...]) -> None:
        options: dict[str, Any] = settings.SIMPLE_JWT
        super().__init__(
            EDDSA if pairs else HS256,
            audience=options["AUDIENCE"],
            issuer=options["ISSUER"],
            leeway=options["LEEWAY"],
        )
        self._pairs = {pair.kid: pair for pair in pairs}
        self._signing = pairs[0].kid if pairs else None
        self._secrets = secrets

    def encode(self, payload: dict[str, Any]) -> str:
        """Return the signed token; with a key pair its header names the key."""
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        private = self._pairs[self._signing].private if self._signing else None
        if private is None:
            return jwt.encode(claims, self._secrets[0], algorithm=HS256)
        return jwt.encode(claims, private, algorithm=EDDSA, headers={"kid": self._signing})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 -- simplejwt's signature
        """Return the claims of a good token. Raises TokenBackendError or its expired kind."""
        keys = [self._key_of(token)] if self._pairs else list(self._secrets)
        while True:
            try:
                return self._decode(token, keys.pop(0))
            except jwt.ExpiredSignatureError as error:
                raise TokenBackendExpiredToken("The token has expired.") from error
            except jwt.InvalidSignatureError as error:
                if not keys:
                    raise TokenBackendError("The token is not valid.") from error
            except jwt.InvalidTokenError as error:
                raise TokenBackendError("The token is not valid.") from error

    def _decode(self, token: Any, key: Any) -> dict[str, Any]:
        return jwt.decode(
            token, key, algorithms=[self.algorithm], audience=self.audience, issuer=self.issuer,
            leeway=self.get_leeway(),
        )  # fmt: skip

    def _key_of(self, token: Any) -> Ed25519PublicKey:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise TokenBackendError("The token is not valid.") from error
        pair = self._pairs.get(kid) if isinstance(kid, str) else None
        if pair is None:
            raise TokenBackendError("The token is signed with a key that is not known.")
        return pair.public


def signing_backend() -> SigningBackend:
    """Return the codec for the keys there are now."""
    return _backend(key_pairs(), (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _backend(pairs: tuple[KeyPair, ...], secrets: tuple[str, ...]) -> SigningBackend:
    return SigningBackend(pairs, secrets)
