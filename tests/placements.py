"""Put an organization that has no documents yet into another kind of placement."""

from tenancy import catalog
from tenancy.models import Organization, Placement
from tenancy.mongo.provisioning import create_collection
from tenancy.names import namespace_of_id


def place(organization: Organization, kind: str) -> None:
    """Change the placement behind the product's back, as a move would have left it."""
    namespace = namespace_of_id(organization.pk)
    rows = Placement.objects.filter(organization=organization)
    rows.update(kind=kind, namespace=namespace)
    organization.refresh_from_db()
    catalog.forget_tenant(organization.pk)
    for name in catalog.declared_collections(organization.pk):
        create_collection(catalog.address_of(organization.placement), name)
