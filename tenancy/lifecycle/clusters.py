"""Add, change and remove clusters. The only writer of their rows."""

from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction

from tenancy import encryption
from tenancy.exceptions import AlreadyExists, FieldError
from tenancy.models import AuditEvent, Cluster, Organization


@dataclass(frozen=True)
class ClusterTraits:
    """What is said of a cluster besides where it is; see the fields of the model."""

    region: str = ""
    database: str = ""
    dedicated_to: Organization | None = None
    accepts_new: bool = True
    ceiling: int | None = None
    note: str = ""


def add_cluster(alias: str, uri: str, traits: ClusterTraits | None = None, *, by: str) -> Cluster:
    """Add a cluster. Its URI is encrypted at once and never shown again. Raises AlreadyExists."""
    given = traits or ClusterTraits()
    values = {name: getattr(given, name) for name in asdict(ClusterTraits())}
    row = Cluster(alias=alias, uri_encrypted=encryption.encrypt(uri), **values)
    with transaction.atomic():
        _insert(row)
        AuditEvent.objects.create(action="cluster.added", actor=by, details={"cluster": alias})
    return row


def _insert(row: Cluster) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        message = f"There is a cluster “{row.alias}” already."
        raise AlreadyExists(
            message, errors=[FieldError("/alias", "already_exists", message)]
        ) from error
