"""How an API key is spelled: `tk_<id>_<secret>_<checksum>`.

The checksum lets a typing error, or whoever scans texts for lost keys, do without the catalog; it
proves nothing. What is kept of a key is the digest of the whole.
"""

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from uuid import UUID

from accounts.exceptions import NotAuthenticated

PREFIX = "tk_"
SECRET_BYTES = 32
_SPELLING = re.compile(
    rf"(?P<body>{PREFIX}(?P<id>[0-9a-f]{{32}})_[0-9a-f]{{{2 * SECRET_BYTES}}})"
    r"_(?P<checksum>[0-9a-f]{8})"
)


@dataclass(frozen=True)
class ShownKey:
    """What a well-formed key says: which row it is of, and what must be kept there."""

    key_id: UUID
    digest: str


def make_key(key_id: UUID) -> str:
    """Return a new key for a row. It is given to the client and not kept."""
    body = f"{prefix_of(key_id)}_{secrets.token_hex(SECRET_BYTES)}"
    return f"{body}_{_checksum(body)}"


def read_key(raw: str) -> ShownKey:
    """Return what a key says. Raises NotAuthenticated for what is none, however long or odd."""
    found = _SPELLING.fullmatch(raw)
    if found is None or found["checksum"] != _checksum(found["body"]):
        raise NotAuthenticated("The API key is not valid.")
    return ShownKey(UUID(found["id"]), digest_of(raw))


def prefix_of(key_id: UUID) -> str:
    """Return how every key of a row begins: no secret."""
    return f"{PREFIX}{key_id.hex}"


def digest_of(raw: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(raw.encode()).hexdigest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
