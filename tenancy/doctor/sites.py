"""The clusters there are, and which of their aliases lead to the same deployment or database."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import cast
from uuid import UUID

from tenancy import catalog
from tenancy.doctor.findings import RoomKind
from tenancy.exceptions import ClusterUnavailable, TenancyError
from tenancy.models import Cluster
from tenancy.mongo.cluster_probe import find_identity
from tenancy.names import Kind, PlacementAddress

THREADS = 8


@dataclass(frozen=True)
class Site:
    """A cluster, by one of its aliases.

    `deployment` is the same for two that lead to one deployment, `scope` for two that lead to one
    database of it. `problem` says why it was not reached.
    """

    alias: str
    region: str
    dedicated_to: UUID | None
    uri: str
    database: str
    deployment: str
    problem: str = ""

    @property
    def scope(self) -> str:
        """What two sites have in common in which shared and own collections are the same."""
        return f"{self.deployment}/{self.database}"

    def scope_of(self, kind: RoomKind) -> str:
        """Return what two sites have in common in which a kind of placement is the same."""
        return self.deployment if kind == "database" else self.scope

    def address(self, kind: RoomKind, namespace: str) -> PlacementAddress:
        """Return the address of a namespace at the site."""
        database = namespace if kind == "database" else self.database
        return PlacementAddress(cast(Kind, kind), self.alias, database, namespace, self.uri)


def find_cluster(alias: str) -> Cluster:
    """Return a cluster; the default one is always there, though its row may not be yet."""
    return Cluster.objects.filter(alias=alias).first() or Cluster(alias=alias)


def address_at(alias: str, kind: RoomKind, namespace: str) -> PlacementAddress:
    """Return the address of a namespace on a cluster. Raises ClusterUnavailable."""
    return catalog.address_at(cast(Kind, kind), find_cluster(alias), namespace)


def read_sites() -> list[Site]:
    """Return the sites, the default one first; where there are several, each is asked who it is.

    One that does not say is not looked at: it might be another one.
    """
    rows = list(Cluster.objects.order_by("alias"))
    if not any(row.alias == Cluster.DEFAULT for row in rows):
        rows.append(Cluster(alias=Cluster.DEFAULT))
    sites = sorted(map(_site_of, rows), key=lambda site: site.alias != Cluster.DEFAULT)
    return sites if len(sites) == 1 else _identified(sites)


def _site_of(row: Cluster) -> Site:
    problem = uri = ""
    database = catalog.database_of(row)
    try:
        uri, database = catalog.cluster_address(row)
    except TenancyError as error:
        problem = f"{error.detail} {error.hint}".rstrip()
    return Site(
        row.alias, row.region, row.dedicated_to_id, uri, database, f"alias {row.alias}", problem
    )


def _identified(sites: Iterable[Site]) -> list[Site]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_with_identity, sites))


def _with_identity(site: Site) -> Site:
    identity = find_identity(site.uri) if site.uri else None
    if identity:
        return replace(site, deployment=identity)
    return site if site.problem else replace(site, problem=ClusterUnavailable.default_detail)
