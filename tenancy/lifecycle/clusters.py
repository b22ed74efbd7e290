"""Add, change and remove clusters. The only writer of their rows, but for whose own one is.

A URI goes in and never comes out again: it is examined, encrypted and kept.
"""

import re
from dataclasses import dataclass, fields
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from tenancy import catalog, encryption
from tenancy.audit import record_event
from tenancy.exceptions import (
    AlreadyExists,
    ClusterUnavailable,
    Conflict,
    FieldError,
    NotFound,
    ValidationFailed,
)
from tenancy.models import Cluster, Operation, Organization, Placement
from tenancy.mongo.cluster_probe import examine_cluster, find_identity, lead_to_common_host
from tenancy.names import NAMESPACE_PREFIX

ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
REGION = re.compile(r"([a-z0-9][a-z0-9_-]{0,47})?")
DATABASE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,47})?")
OWN_DATABASES = frozenset(("admin", "config", "local"))


@dataclass(frozen=True)
class ClusterTraits:
    """What is said of a cluster besides where it is; see the fields of the model."""

    region: str = ""
    database: str = ""
    dedicated_to: Organization | None = None
    accepts_new: bool = True
    ceiling: int | None = None
    note: str = ""


TRAITS = tuple(field.name for field in fields(ClusterTraits))


def get_cluster(alias: str) -> Cluster:
    """Return the cluster of this alias, or raise NotFound."""
    row = Cluster.objects.filter(alias=alias).first()
    if row is None:
        raise NotFound(f"There is no cluster “{alias}”.")
    return row


def add_cluster(
    alias: str,
    uri: str,
    traits: ClusterTraits | None = None,
    *,
    by: str,
    force: bool = False,
) -> Cluster:
    """Examine a cluster and add it.

    Raises AlreadyExists for an alias that is used, or a deployment and database that are known
    under another one; and ValidationFailed for what is wrong with it, unless `force` is given.
    """
    Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    row = Cluster(alias=alias, **vars(traits or ClusterTraits()))
    _check_fields(row)
    _check_uri(row, uri, force=force)
    row.uri_encrypted = encryption.encrypt(uri)
    with transaction.atomic():
        _insert(row)
        _record("cluster.added", row, by=by)
    return row


def traits_of(row: Cluster) -> dict[str, Any]:
    """Return the traits that a cluster has."""
    return {name: getattr(row, name) for name in TRAITS}


def change_cluster(
    row: Cluster, traits: ClusterTraits, uri: str = "", *, by: str, force: bool = False
) -> list[str]:
    """Give a cluster other traits and, if one is given, another URI. Return what changed.

    Raises ValidationFailed where an organization that lives there would be placed wrongly, and
    what `add_cluster` raises.
    """
    values = vars(traits)
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    _check_fields(row)
    _check_inhabitants(row, changed)
    if uri:
        _check_uri(row, uri, force=force)
        row.uri_encrypted = encryption.encrypt(uri)
        changed.append("uri_encrypted")
    if changed:
        with transaction.atomic():
            row.save(update_fields=changed)
            names = ["uri" if name == "uri_encrypted" else name for name in changed]
            _record("cluster.changed", row, by=by, changed=names)
    catalog.clear_cache()
    return changed


def remove_cluster(row: Cluster, *, by: str) -> None:
    """Forget a cluster. Nothing is sent to it.

    Raises Conflict while an organization lives there, or is on its way to or from it.
    """
    if row.alias == Cluster.DEFAULT:
        raise Conflict("The cluster “default” stays: it is the one of MONGODB_URI.")
    with transaction.atomic():
        locked = Cluster.objects.select_for_update().get(pk=row.pk)
        tenants = Placement.objects.filter(cluster=locked).count()
        if tenants:
            raise Conflict(f"{tenants} organizations live on the cluster “{row.alias}”.")
        visits = Q(params__source__cluster=row.alias) | Q(params__target__cluster=row.alias)
        if Operation.objects.open().filter(visits).exists():
            raise Conflict(f"An organization is on its way to or from the cluster “{row.alias}”.")
        locked.delete()
        _record("cluster.removed", row, by=by)


def reencrypt_uris(*, by: str) -> int:
    """Encrypt every URI with the first key. Return how many needed it. Raises Undecryptable."""
    changed = 0
    for row in Cluster.objects.exclude(uri_encrypted=""):
        old = row.uri_encrypted
        if encryption.is_of_first_key(old):
            continue
        unchanged = Cluster.objects.filter(pk=row.pk, uri_encrypted=old)
        with transaction.atomic():
            if unchanged.update(uri_encrypted=encryption.reencrypt(old)):
                changed += 1
                _record("cluster.reencrypted", row, by=by)
    return changed


def _record(action: str, row: Cluster, *, by: str, **details: object) -> None:
    record_event(None, action, by=by, cluster=row.alias, **details)


def _insert(row: Cluster) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if Cluster.objects.filter(alias=row.alias).exists():
            raise _known_already(f"There is a cluster “{row.alias}” already.") from error
        message = f"“{row.dedicated_to}” has another cluster of its own."
        raise _wrong("dedicated_to", message) from error


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(f"/{name}", "invalid", message)])


def _known_already(message: str) -> AlreadyExists:
    return AlreadyExists(message, errors=[FieldError("/alias", "already_exists", message)])


def _check_fields(row: Cluster) -> None:
    if not ALIAS.fullmatch(row.alias):
        raise _wrong(
            "alias", "An alias is 1 to 48 of a-z, 0-9, _ and -, and no - or _ comes first."
        )
    if not REGION.fullmatch(row.region):
        raise _wrong("region", "A region is up to 48 of a-z, 0-9, _ and -, such as eu-central.")
    if (
        not DATABASE.fullmatch(row.database)
        or row.database.lower() in OWN_DATABASES
        or row.database.lower().startswith(NAMESPACE_PREFIX)
    ):
        raise _wrong("database", f"“{row.database}” cannot be the database of organizations.")
    if row.ceiling is not None and row.ceiling < 1:
        raise _wrong("ceiling", "A ceiling is at least 1.")


def _check_inhabitants(row: Cluster, changed: list[str]) -> None:
    """Raise ValidationFailed where what changed is wrong for an organization that lives there."""
    tenants = Placement.objects.filter(cluster=row)
    bound = tenants.exclude(organization__region__in=["", row.region])
    if "region" in changed and bound.exists():
        raise _wrong("region", "Organizations that are bound to another region live there.")
    if "database" in changed and tenants.filter(kind__in=["shared", "collection"]).exists():
        raise _wrong("database", "Organizations live in the database that it has now.")
    if "dedicated_to" in changed and tenants.filter(kind="cluster").exists():
        raise _wrong("dedicated_to", "An organization lives there whose own the cluster is.")
    if row.dedicated_to and tenants.exclude(organization=row.dedicated_to).exists():
        raise _wrong("dedicated_to", "Other organizations live there.")


def _check_uri(row: Cluster, uri: str, *, force: bool) -> None:
    if row.alias == Cluster.DEFAULT:
        raise _wrong("uri", "The URI of the cluster “default” is MONGODB_URI.")
    found = examine_cluster(uri)
    if found.problems and not (force and found.is_uri):
        errors = [FieldError("/uri", "cluster_unfit", problem) for problem in found.problems]
        raise ValidationFailed("The cluster cannot be used.", errors=errors)
    identity = found.facts.identity if found.facts else None
    for other in Cluster.objects.exclude(pk=row.pk):
        if not _is_same(uri, identity, other):
            continue
        if catalog.database_of(other) == catalog.database_of(row):
            raise _known_already(f"It is the cluster “{other.alias}”, with the same database.")
        if row.dedicated_to or other.dedicated_to:
            message = f"It is the deployment of “{other.alias}”, too: nobody has it alone."
            raise _wrong("dedicated_to", message)
        if row.region != other.region:
            message = f"It is the deployment of “{other.alias}”, which is in another region."
            raise _wrong("region", message)


def _is_same(uri: str, identity: str | None, other: Cluster) -> bool:
    """Return whether another cluster is the same deployment."""
    try:
        other_uri, _ = catalog.cluster_address(other)
    except ClusterUnavailable:
        return False
    other_identity = find_identity(other_uri) if identity else None
    if identity and other_identity:
        return identity == other_identity
    return lead_to_common_host(uri, other_uri)
