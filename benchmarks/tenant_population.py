"""Fill a deployment with organizations quickly: rows in bulk, documents past the product.

    TENANTRY_HOME=... MONGODB_URI=... python -m benchmarks.tenant_population KIND FIRST LAST

What is left is what creating them would leave where a read or the doctor looks: name, placement,
`main` with a document, an owner. There is no journal, no audit and no session for them; who needs a
token signs in. `benchmarks.growth` creates every organization through the product instead.
Prints JSON: how many there are now, and an access token for some, spread evenly.
"""

import argparse
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

DOCUMENT = {"_id": "d", "name": "A document", "n": 1, "tags": ["a", "b"]}
# As the product writes it, the revision included.
STORED = DOCUMENT | {"_meta": {"rev": 1, "by": "command:bench"}}
BATCH = 250
CREATORS = 2


def populate(kind: str, numbers: range, seconds: float = float("inf")) -> list[Any]:
    """Make organizations of these numbers, for at most so many seconds. Return their rows."""
    deadline, made = time.monotonic() + seconds, list[Any]()
    for first in range(numbers.start, numbers.stop, BATCH):
        if time.monotonic() > deadline:
            break
        placements = _write_rows(kind, range(first, min(first + BATCH, numbers.stop)))
        _write_documents(placements)
        made += [placement.organization for placement in placements]
    return made


def _write_rows(kind: Any, numbers: range) -> list[Any]:
    """Write the catalog rows of tenants; return their placements."""
    from django.conf import settings
    from django.db import transaction

    from tenancy.lifecycle.creation import draft_organization
    from tenancy.models import Collection, Placement, SlugReservation
    from tenancy.names import namespace_for

    # Where the product would place the next ones, with room for all of them.
    room = (len(numbers), len(numbers))
    draft, _, cluster = draft_organization("Any", "any", {"kind": kind}, room=room)
    organizations = [
        type(draft)(name=f"Organization {n}", slug=f"organization-{n}", plan=draft.plan,
                    status="active")
        for n in numbers
    ]  # fmt: skip
    with transaction.atomic():
        _insert(organizations)
        _insert([SlugReservation(slug=each.slug, organization=each) for each in organizations])
        _insert([Collection(organization=each, name="main") for each in organizations])
        _insert_owners(organizations)
        name: Any = partial(namespace_for, naming=settings.TENANCY_NAMING, kind=kind)
        return _insert(
            [
                Placement(organization=each, kind=kind, cluster=cluster,
                          namespace=name(each.pk, each.slug))
                for each in organizations
            ]
        )  # fmt: skip


def _insert_owners(organizations: Sequence[Any]) -> None:
    from accounts.models import Membership, User
    from accounts.roles import Role

    users = _insert(
        [User(email=f"{each.slug}@example.com", password="!") for each in organizations]
    )
    pairs = zip(organizations, users, strict=True)
    _insert([Membership(user=user, organization=each, role=Role.OWNER) for each, user in pairs])


def _insert(rows: list[Any]) -> list[Any]:
    """Write rows of one model in bulk: what a benchmark may, and the product never does."""
    return list(type(rows[0]).objects.bulk_create(rows))


def _write_documents(placements: Sequence[Any]) -> None:
    """Write a document of each; a collection comes into being with its first one."""
    from tenancy import catalog
    from tenancy.mongo.clients import get_client

    addresses = [catalog.address_of(each) for each in placements]
    first = addresses[0]
    database = get_client(first.uri).get_database(first.database)
    if first.kind == "shared":
        owners = [each.organization_id for each in placements]
        database[first.physical("main")].insert_many(_shared(owners), ordered=False)
        return
    with ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(_write_own, addresses))
    # A write that changes nothing, acknowledged by the majority: so all before it are read, too.
    settled = database[first.physical("main")]
    settled.update_one({"_id": DOCUMENT["_id"]}, {"$unset": {"nothing": 1}})


def _shared(owners: Sequence[uuid.UUID]) -> Iterator[dict[str, Any]]:
    from bson import Binary

    for owner in owners:
        # The order of the keys matters: see tenancy.mongo.boundary.
        yield STORED | {"_id": {"o": Binary(owner.bytes, 4), "c": "main", "k": DOCUMENT["_id"]}}


def _write_own(address: Any) -> None:
    from pymongo import WriteConcern

    from tenancy.mongo.clients import get_client

    database = get_client(address.uri).get_database(address.database)
    collection = database.get_collection(address.physical("main"), write_concern=WriteConcern(1))
    collection.insert_one(dict(STORED))


def sign_in_owner(organization: Any) -> str:
    """Return an access token of an organization's owner."""
    from accounts.login import sign_in
    from accounts.models import Membership
    from accounts.sessions import Device

    membership = Membership.objects.select_related("user").get(organization=organization)
    return str(sign_in(membership.user, membership, Device()).access_token)


def main() -> None:
    """Populate, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=("shared", "collection", "database"))
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--tokens", type=int, default=10, help="for how many of them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="at most")
    options = parser.parse_args()

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    numbers = range(options.first, options.last)
    made = populate(options.kind, numbers, options.seconds)
    tokens = [sign_in_owner(each) for each in made[:: max(len(made) // options.tokens, 1)]]
    print(json.dumps({"tenants": options.first + len(made), "tokens": tokens[: options.tokens]}))


if __name__ == "__main__":
    main()
