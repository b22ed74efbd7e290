"""What tests of moves and clones ask, and how they bring about what takes a move otherwise."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tenancy import catalog, operations
from tenancy.access import with_collection
from tenancy.models import Cluster, Operation, Placement
from tenancy.mongo.provisioning import create_collection
from tenancy.names import PlacementAddress, namespace_of_id
from tests.conftest import ACTOR

TURNS = 3


def call(organization_id, do, collection="main"):
    return with_collection(organization_id, collection, do, by=ACTOR)


def fill(organization_id, count=50):
    def insert(documents):
        documents.insert_many({"_id": n, "n": n} for n in range(count))

    call(organization_id, insert)


def count_of(organization_id) -> int:
    return call(organization_id, lambda documents: documents.count())


def ids_of(organization_id, collection="main") -> set[Any]:
    """Return the `_id`s that people see; at most 1,000."""
    page = call(organization_id, lambda documents: documents.list_page(limit=1000), collection)
    return {document["_id"] for document in page.documents}


def place_of(organization_id) -> tuple[str, str]:
    row = Placement.objects.select_related("cluster").get(organization=organization_id)
    return row.kind, row.cluster.alias


def address_of(organization_id) -> PlacementAddress:
    return catalog.get_tenant(organization_id, max_age=0).address


def last_move() -> Operation:
    return Operation.objects.filter(kind="move").order_by("created_at").last()


def run_due(turns: int = TURNS) -> None:
    """Go on with what is open, as if its time had come and its runner were dead."""
    past = timezone.now() - timedelta(days=1)
    for _ in range(turns):
        Operation.objects.open().update(not_before=past, lease_until=None)
        operations.resume_operations()


def live_at(organization_id, kind: str, cluster: str = "default") -> None:
    """Place an organization without documents, as a move would have left it."""
    row = Cluster.objects.get(alias=cluster)
    if kind == "cluster":
        Cluster.objects.filter(pk=row.pk).update(dedicated_to=organization_id)
    rows = Placement.objects.filter(organization=organization_id)
    rows.update(kind=kind, cluster=row, namespace=namespace_of_id(organization_id))
    catalog.forget_tenant(organization_id)
    for name in catalog.declared_collections(organization_id):
        create_collection(address_of(organization_id), name)
