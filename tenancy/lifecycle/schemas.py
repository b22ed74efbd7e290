"""The JSON Schemas of an organization's collections: set, read, and tried on what is stored.

A schema is judged by wherever a document is written. Processes may write by the one before for as
long as they may use a cached tenant: what was stored by then is not looked at again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from tenancy import catalog
from tenancy.access import wait_until_served
from tenancy.audit import record_event
from tenancy.exceptions import CollectionNotFound, FieldError, ValidationFailed
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Collection, OrganizationStatus, SchemaMode
from tenancy.mongo.documents import START, Page
from tenancy.schemas import CompiledSchema, digest_of

EXAMINE_SECONDS = 5.0
EXAMINE_BATCH = 100
EXAMINE_MAX_VIOLATIONS = 100


@dataclass(frozen=True)
class CollectionSchema:
    """A collection's schema as members see it; None, and off, where it has none."""

    json_schema: dict[str, Any] | None
    mode: str


@dataclass
class Examination:
    """What documents have against them: at most `EXAMINE_MAX_VIOLATIONS`, each with its `_id`.

    `next_after` is the `_id` after which to go on, or START if every document was looked at.
    """

    examined: int = 0
    failing: int = 0
    violations: list[tuple[Any, FieldError]] = field(default_factory=list)
    next_after: Any = START


def get_schema(organization_id: UUID, collection: str) -> CollectionSchema:
    """Return a collection's schema. Raises CollectionNotFound."""
    row = catalog.get_collection(organization_id, collection)
    return CollectionSchema(orjson.loads(row.json_schema or "null"), row.schema_mode)


def set_schema(
    organization_id: UUID, collection: str, schema: CollectionSchema, *, by: str
) -> CollectionSchema:
    """Give a collection a schema and say what it does; None takes it away. Return it.

    Documents that are there stay as they are. Raises ValidationFailed, and CollectionNotFound.
    """
    if schema.json_schema is not None:
        CompiledSchema.of(schema.json_schema)
    elif schema.mode != SchemaMode.OFF:
        message = "Without a schema the mode is “off”."
        raise ValidationFailed(message, errors=[FieldError("/mode", "no_schema", message)])
    text = "" if schema.json_schema is None else orjson.dumps(schema.json_schema).decode()
    wanted = {
        "json_schema": text,
        "schema_digest": digest_of(text) if text else "",
        "schema_mode": schema.mode,
    }
    wait_until_served(organization_id)
    with transaction.atomic():
        organization = lock_organization(organization_id, OrganizationStatus.ACTIVE)
        mine = Collection.objects.filter(organization=organization, name=collection)
        if not mine.exists():
            raise CollectionNotFound(f"There is no collection “{collection}”.")
        if mine.exclude(**wanted).update(**wanted):
            record_event(
                organization, "schema.changed", by=by, collection=collection,
                mode=schema.mode, digest=wanted["schema_digest"],
            )  # fmt: skip
    catalog.forget_tenant(organization_id)
    return schema


def examine_documents(
    schema: CompiledSchema, read_page: Callable[[Any, int], Page], *, after: Any = START
) -> Examination:
    """Judge documents in `_id` order, after an `_id`, for at most `EXAMINE_SECONDS`.

    `read_page(after, limit)` reads them. What is written meanwhile may be seen or not.
    """
    found, deadline = Examination(), time.monotonic() + EXAMINE_SECONDS
    while True:
        page = read_page(after, EXAMINE_BATCH)
        for position, document in enumerate(page.documents):
            _examine(schema, document, found)
            after = document["_id"]
            is_last = position == len(page.documents) - 1 and not page.has_more
            if not is_last and time.monotonic() >= deadline:
                found.next_after = after
                return found
        if not page.has_more:
            return found


def _examine(schema: CompiledSchema, document: dict[str, Any], found: Examination) -> None:
    found.examined += 1
    errors = schema.find_errors(document)
    found.failing += bool(errors)
    room = EXAMINE_MAX_VIOLATIONS - len(found.violations)
    found.violations += [(document["_id"], error) for error in errors[:room]]
