"""Choose where an organization lives: a kind of placement and a cluster.

A region, wanted or prescribed by the plan, is kept to. Among the clusters that may be taken the one
that is least full is. Kind `cluster` takes a cluster that hosts nobody: first those that were kept
for this by being closed, then open ones; it is the organization's own from then on. `default` is
never anybody's own.
"""

import math
from collections.abc import Iterable
from typing import cast

from django.db.models import Q, QuerySet

from tenancy.clock import seconds
from tenancy.exceptions import (
    ClusterFull,
    ClusterUnavailable,
    FieldError,
    Unavailable,
    ValidationFailed,
)
from tenancy.lifecycle.capacity import assert_capacity, capacity_of
from tenancy.models import Cluster, Organization, OrganizationStatus, Placement, Plan
from tenancy.names import Kind

# A cluster that was not reached is not asked again so soon where there is another one.
UNREACHED_SECONDS = 10.0
# What `main` takes: a collection, and the index of its `_id`.
MAIN_COLLECTIONS = 1
MAIN_INDEXES = 1

_unreached: dict[int, float] = {}


class PlaceTaken(ClusterFull):
    """The cluster was closed, or became somebody's own, after it was chosen."""

    default_detail = "The cluster was given to others meanwhile. Nothing was changed."


def region_of(plan: Plan, region: str, *, pointer: str = "/region") -> str:
    """Return the region that an organization is bound to; '' for none. Raises ValidationFailed."""
    if region and plan.region and region != plan.region:
        message = f"The plan “{plan.code}” is for region “{plan.region}” only."
        raise _refused(pointer, message)
    region = region or plan.region
    if region and not Cluster.objects.filter(region=region).exists():
        raise _refused(pointer, f"There is no cluster in region “{region}”.")
    return region


def choose_place(
    plan: Plan,
    region: str = "",
    kind: Kind | None = None,
    *,
    organization: Organization | None = None,
    collections: int = MAIN_COLLECTIONS,
    indexes: int = MAIN_INDEXES,
) -> tuple[Kind, Cluster]:
    """Return the kind and the cluster for an organization, with room promised for what it has.

    `organization` is the one that is placed, if it exists already: a cluster that is its own may
    be chosen. Call `take_place` in the transaction that writes the placement. Raises
    ValidationFailed, ClusterFull, or ClusterUnavailable if no cluster in question can be reached.
    """
    chosen = kind or cast(Kind, plan.default_kind)
    candidates = list(_candidates(chosen, region_of(plan, region), organization))
    if chosen == "shared":
        collections = indexes = 0  # the shared collection and its index are there
    refusal: Unavailable = ClusterFull(_nothing_open(chosen, region or plan.region))
    for cluster in _least_full_first(candidates, chosen):
        try:
            assert_capacity(cluster, collections, indexes)
        except (ClusterFull, ClusterUnavailable) as error:
            refusal = error
        else:
            return chosen, cluster
    raise refusal


def take_place(kind: Kind, cluster: Cluster, organization: Organization) -> None:
    """Make sure, until the transaction ends, that an organization may be placed where was chosen.

    For kind `cluster` it becomes the organization's own; one that it had before is nobody's, and
    closed. Raises PlaceTaken: choose again.
    """
    rows = Cluster.objects.select_for_update().filter(pk=cluster.pk)
    locked = [row.pk for row in rows]
    if not _candidates(kind, organization.region, organization).filter(pk__in=locked).exists():
        raise PlaceTaken
    if kind == "cluster":
        before = Cluster.objects.filter(dedicated_to=organization).exclude(pk=cluster.pk)
        before.update(dedicated_to=None, accepts_new=False)
        rows.update(dedicated_to=organization)


def check_vacancy(organization: Organization, cluster: Cluster) -> None:
    """Raise ValidationFailed unless a cluster can be an organization's own."""
    if _candidates("cluster", "", organization).filter(pk=cluster.pk).exists():
        return
    others = Placement.objects.filter(cluster=cluster).exclude(organization=organization).count()
    reason = "it is for everybody" if cluster.alias == Cluster.DEFAULT else "it is another's own"
    if others:
        reason = f"{others} other organizations live there"
    message = f"The cluster “{cluster.alias}” cannot be one organization's own: {reason}."
    raise _refused("/cluster", message)


def check_residency(organization: Organization, cluster: Cluster) -> None:
    """Raise ValidationFailed if an organization's data may not lie on a cluster.

    It may not leave its region, nor lie on a cluster that is another organization's own.
    """
    if organization.region and cluster.region != organization.region:
        where = f"in region “{cluster.region}”" if cluster.region else "in no region"
        raise _refused(
            "/cluster",
            f"The organization is bound to region “{organization.region}”; the cluster "
            f"“{cluster.alias}” is {where}.",
        )
    if cluster.dedicated_to_id not in {None, organization.pk}:
        raise _refused("/cluster", f"The cluster “{cluster.alias}” is another organization's own.")


def _refused(pointer: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(pointer, "not_placeable", message)])


def _candidates(kind: Kind, region: str, organization: Organization | None) -> "QuerySet[Cluster]":
    """Return the clusters that may be taken. A purged organization owns nothing any more."""
    rows = Cluster.objects.filter(region=region) if region else Cluster.objects.all()
    nobodys = Q(dedicated_to=None) | Q(dedicated_to__status=OrganizationStatus.PURGED)
    mine = Q(dedicated_to=organization) if organization else Q(pk=None)
    if kind != "cluster":
        return rows.filter(nobodys, accepts_new=True) | rows.filter(mine)
    others = Placement.objects.exclude(organization=organization)
    return rows.filter(nobodys | mine).exclude(
        Q(alias=Cluster.DEFAULT) | Q(pk__in=others.values("cluster_id"))
    )


def _nothing_open(kind: Kind, region: str) -> str:
    where = f" in region “{region}”" if region else ""
    if kind == "cluster":
        return f"There is no cluster{where} that could be one organization's own."
    return f"There is no cluster{where} that takes new organizations."


def _least_full_first(clusters: Iterable[Cluster], kind: Kind) -> list[Cluster]:
    """Return clusters in the order of choice. One alone is not asked twice how full it is."""
    rows = list(clusters)
    if len(rows) < 2:
        return rows
    is_kept = {row.pk: kind == "cluster" and not row.accepts_new for row in rows}
    return sorted(rows, key=lambda row: (not is_kept[row.pk], _fullness(row), row.alias))


def _fullness(cluster: Cluster) -> float:
    """Return the share in use; infinity for a cluster that is not, or was not, reached."""
    if seconds() - _unreached.get(cluster.pk, -math.inf) < UNREACHED_SECONDS:
        return math.inf
    try:
        return capacity_of(cluster).share
    except ClusterUnavailable:
        _unreached[cluster.pk] = seconds()
        return math.inf
