"""Organization names -> slugs -> namespaces -> physical names. Pure: no settings, no database.

A name is what people read, a slug is what makes it unique, a namespace is its physical prefix (or
database) in MongoDB. Two names with one slug are one name.
"""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Literal, get_args
from uuid import UUID

from anyascii import anyascii

from tenancy.exceptions import CollectionNotFound, FieldError, InvalidName

Kind = Literal["shared", "collection", "database", "cluster"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Naming = Literal["name", "id"]
NAMINGS: tuple[Naming, ...] = get_args(Naming)

NAME_MAX_CHARACTERS = 100
SLUG_MAX_CHARACTERS = 48
NAMESPACE_PREFIX = "org_"
MAIN = "main"
NOT_MAIN = "~main"  # what is stored as if it were `main`, where `main` is stored otherwise
SHARED_COLLECTION = "shared"
# What was asked and answered under a key, in every database that holds documents of tenants.
RECORDS_COLLECTION = "_idempotency"
OWN_DATABASE: frozenset[Kind] = frozenset(("database", "cluster"))
COLLECTION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# MongoDB: 255 bytes of "database.collection" on 4.4 and later, 63 bytes of a database name.
# https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
NAMESPACE_MAX_BYTES = 255
DATABASE_MAX_BYTES = 63

# Words that would read as MongoDB's or this service's own in a log line, a URL or a shell.
RESERVED_SLUGS = frozenset(
    ("admin", "api", "config", "local", "none", "null", "org", "system", "tenantry", "undefined")
)
# With naming `id` a namespace is `org_` and 32 hex digits: no slug may look like one.
_LOOKS_LIKE_AN_ID = re.compile(r"[0-9a-f]{32}")
_INVISIBLE_BUT_WRITTEN = "\u200c\u200d"  # Persian and many emoji need the two joiners
# Letters and marks of other categories that are drawn as nothing.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"


def _invalid(message: str, pointer: str) -> InvalidName:
    return InvalidName(message, errors=[FieldError(pointer, "invalid_name", message)])


def _is_hidden(character: str) -> bool:
    if character in _INVISIBLE_BUT_WRITTEN:
        return False
    return character in _BLANK or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}


def clean_name(raw: str, *, pointer: str = "/name") -> str:
    """Return the name as it is shown: NFKC, one space between words, 1..100 characters.

    Raises InvalidName for control characters, marks that change the direction of text, and
    anything else that a reader cannot see.
    """
    for position, character in enumerate(raw):
        if _is_hidden(character):
            where = f"U+{ord(character):04X} at position {position + 1}"
            raise _invalid(f"The name holds an invisible character ({where}).", pointer)
    name = " ".join(unicodedata.normalize("NFKC", raw).split())
    if not name:
        raise _invalid("The name is empty.", pointer)
    if len(name) > NAME_MAX_CHARACTERS:
        raise _invalid(
            f"The name has {len(name)} characters; {NAME_MAX_CHARACTERS} are allowed.", pointer
        )
    return name


def slug_of(name: str, *, pointer: str = "/name") -> str:
    """Return the slug of a clean name: `[a-z0-9-]`, 1..48 characters.

    Raises InvalidName when nothing readable is left, or the slug is reserved.
    """
    ascii_name = anyascii(unicodedata.normalize("NFKC", name).casefold()).lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:SLUG_MAX_CHARACTERS].rstrip("-")
    if not slug:
        raise _invalid("The name has no letter or digit to make an address from.", pointer)
    if slug in RESERVED_SLUGS or _LOOKS_LIKE_AN_ID.fullmatch(slug):
        raise _invalid(f"The name would have the address “{slug}”, which is reserved.", pointer)
    return slug


def namespace_for(organization_id: UUID, slug: str, *, naming: Naming, kind: Kind) -> str:
    """Return the namespace: from the slug where people read it, else from the id."""
    if naming == "name" and kind == "collection":
        return namespace_of_slug(slug)
    return namespace_of_id(organization_id)


def namespace_of_id(organization_id: UUID) -> str:
    """Return the namespace that naming `id` gives an organization."""
    return NAMESPACE_PREFIX + organization_id.hex


def namespace_of_slug(slug: str) -> str:
    """Return the namespace that naming `name` gives a slug. One to one: slugs have no `_`."""
    return NAMESPACE_PREFIX + slug.replace("-", "_")


def check_collection_name(name: str) -> str:
    """Return the logical collection name, or raise CollectionNotFound: no such one can exist."""
    if not COLLECTION_NAME.fullmatch(name):
        raise CollectionNotFound(
            "A collection name is a lower-case letter, then up to 62 of a-z, 0-9, _ and -."
        )
    return name


def physical_collection(namespace: str, logical: str) -> str:
    """Return the name in MongoDB of a logical collection under a namespace prefix."""
    return namespace if logical == MAIN else f"{namespace}.{logical}"


def logical_collection(namespace: str, physical: str) -> str | None:
    """Return the logical name of a physical one, or None if it is not under the namespace.

    One that no collection here can have is not a collection name: `~main` for `<namespace>.main`.
    """
    if physical == namespace:
        return MAIN
    prefix = namespace + "."
    if not physical.startswith(prefix):
        return None
    return NOT_MAIN if physical == prefix + MAIN else physical.removeprefix(prefix)


@dataclass(frozen=True)
class PlacementAddress:
    """All the data plane needs to find a tenant's data: plain values, no catalog row.

    `database` is the tenant's own, named like its namespace, for the kinds `database` and
    `cluster`; for the other kinds others live in it, too.
    `uri` may hold a password and is left out of every representation.
    """

    kind: Kind
    cluster: str
    database: str
    namespace: str
    uri: str = field(repr=False)

    @property
    def organization_id(self) -> UUID:
        """Whose it is, where the namespace says so. Raises ValueError where it is from a slug."""
        return UUID(hex=self.namespace.removeprefix(NAMESPACE_PREFIX))

    def physical(self, logical: str) -> str:
        """Return the name in MongoDB of the collection that holds a logical one."""
        if self.kind == "shared":
            return SHARED_COLLECTION
        if self.kind in OWN_DATABASE:
            return logical
        return physical_collection(self.namespace, logical)

    def at(self, namespace: str) -> "PlacementAddress":
        """Return the same place under another namespace."""
        database = namespace if self.kind in OWN_DATABASE else self.database
        return replace(self, namespace=namespace, database=database)
