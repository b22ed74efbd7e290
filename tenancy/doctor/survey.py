"""What there is: the catalog and every cluster, read once each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.utils import timezone

from tenancy.doctor import catalog_facts
from tenancy.doctor.catalog_facts import OrganizationFacts
from tenancy.doctor.contents import Contents, Expected, Room, Trace, read_contents
from tenancy.doctor.findings import room_kind
from tenancy.doctor.sites import THREADS, Site, read_sites
from tenancy.exceptions import Defect, Unavailable
from tenancy.lifecycle.collections import DROP_COLLECTION
from tenancy.lifecycle.deletion import PURGE
from tenancy.lifecycle.renaming import RENAME
from tenancy.models import OPEN, Operation
from tenancy.mongo.indexes import IndexSpec
from tenancy.names import NAMESPACE_PREFIX


@dataclass
class Survey:
    """The state of things. MongoDB is read first, the catalog after it.

    So whatever an operation changed in between is known: its row is still open, or was updated
    since the survey began, and its organization is left alone.
    """

    began: datetime
    sites: dict[str, Site]
    contents: dict[str, Contents]
    organizations: dict[UUID, OrganizationFacts]
    declared: dict[UUID, dict[str, datetime]]
    indexes: dict[tuple[UUID, str], list[IndexSpec]]
    operations: list[Operation]
    leftovers: list[Operation]
    failed_purges: dict[UUID, UUID]
    former: dict[str, OrganizationFacts] = field(default_factory=dict)

    @cached_property
    def traces(self) -> list[Trace]:
        """Everything that was found in MongoDB and is, or looks like, a tenant's."""
        return [trace for found in self.contents.values() for trace in found.traces]

    def room_of(self, facts: OrganizationFacts) -> Room | None:
        """Return where an organization lives; None if its cluster was not reached, or none."""
        site = self.sites.get(facts.cluster or "")
        if site is None or site.problem or facts.namespace is None:
            return None
        return Room(facts.kind, site.scope_of(facts.kind), facts.namespace)

    def is_looked_at(self, room: Room) -> bool:
        """Return whether what lies in a room was read in this survey."""
        return room.scope in self._looked_at

    @cached_property
    def _looked_at(self) -> frozenset[str]:
        seen = [self.sites[alias] for alias in self.contents]
        return frozenset(scope for site in seen for scope in (site.scope, site.deployment))

    @cached_property
    def homes(self) -> dict[Room, OrganizationFacts]:
        """Organizations by the room that is theirs now."""
        rooms = ((self.room_of(row), row) for row in self.organizations.values())
        return {room: row for room, row in rooms if room is not None}

    @cached_property
    def real(self) -> frozenset[tuple[Room, str | None]]:
        """Where there is a collection and not a view."""
        return frozenset((each.room, each.logical) for each in self.traces if not each.is_view)

    @cached_property
    def built(self) -> dict[tuple[Room, str], list[IndexSpec]]:
        """The indexes that MongoDB has."""
        found = (each.indexes.items() for each in self.contents.values())
        return {place: specs for items in found for place, specs in items}

    @cached_property
    def collections(self) -> int:
        """How many collections of tenants' own there are, unknown databases left out."""
        real = [each for each in self.traces if not each.is_view and each.room.kind != "shared"]
        return sum(
            each.room.kind == "collection" or bool(self.owner_of(each.room)) for each in real
        )

    def owner_of(self, room: Room) -> OrganizationFacts | None:
        """Return whose a room is, or was, or could only be."""
        return self.homes.get(room) or self.former.get(room.namespace)

    @cached_property
    def busy(self) -> frozenset[UUID]:
        """Organizations that an operation is at, or was at since the survey began.

        An organization that is cloned has what the clone's operation writes there.
        """
        at_work = [
            row
            for row in self.operations
            if row.updated_at >= self.began or (row.blocking and not is_planned(row))
        ]
        cloned = {UUID(row.params["source_organization"]) for row in at_work if _is_clone(row)}
        return frozenset(cloned | {row.organization_id for row in at_work if row.organization_id})

    @cached_property
    def purging(self) -> frozenset[UUID]:
        """Organizations with a purge that is planned or under way."""
        return frozenset(
            row.organization_id
            for row in self.operations
            if row.organization_id is not None and row.kind == PURGE.name and row.status in OPEN
        )

    @cached_property
    def guarded(self) -> frozenset[str]:
        """Namespaces that renames have left or are going to, until they have cleaned up."""
        return frozenset(
            row.params[side]
            for row in self.operations
            if row.kind == RENAME.name
            for side in ("old_namespace", "new_namespace")
        )

    @cached_property
    def swept(self) -> frozenset[tuple[UUID | None, str]]:
        """Collections that were dropped and are looked at once more for late writes."""
        return frozenset(
            (row.organization_id, row.params["collection"])
            for row in self.operations
            if row.kind == DROP_COLLECTION.name
        )

    @cached_property
    def copied_to(self) -> dict[tuple[UUID | None, Room], Operation]:
        """Where undone moves have left what they had copied, and the moves."""
        found = {}
        for row in self.leftovers:
            target = row.params["target"]
            site, kind = self.sites.get(target["cluster"]), room_kind(target["kind"])
            if site is not None:
                room = Room(kind, site.scope_of(kind), target["namespace"])
                found[row.organization_id, room] = row
        return found


def _is_clone(row: Operation) -> bool:
    return row.status in OPEN and bool(row.params.get("source_organization"))


def is_planned(operation: Operation) -> bool:
    """Return whether it is a purge whose time has not come."""
    return (
        operation.kind == PURGE.name
        and operation.step == PURGE.steps[0].name
        and operation.lease_until is None
        and operation.not_before > timezone.now()
    )


def take_survey(cluster: str | None = None) -> Survey:
    """Read everything, or of MongoDB one cluster only.

    Clusters are read at the same time: one that is down costs some seconds, not each. Of the
    catalog the number of queries does not grow with organizations.
    """
    began = timezone.now()
    sites = {site.alias: site for site in read_sites()}
    wanted = [site for site in sites.values() if cluster in {None, site.alias}]
    contents = _read_all(wanted, sites)
    survey = Survey(
        began=began,
        sites=sites,
        contents=contents,
        organizations=catalog_facts.read_organizations(),
        declared=catalog_facts.read_declared(),
        indexes=catalog_facts.read_indexes(),
        operations=catalog_facts.read_operations(began),
        leftovers=catalog_facts.read_leftovers(),
        failed_purges=catalog_facts.read_failed_purges(),
    )
    homes = survey.homes
    unknown = {trace.room.namespace for trace in survey.traces if trace.room not in homes}
    survey.former = catalog_facts.find_former(unknown)
    return survey


def _read_all(wanted: list[Site], sites: dict[str, Site]) -> dict[str, Contents]:
    """Read sites at the same time; what two have in common is read once. Note who is away."""
    plans = list(_plan(wanted, sites))
    databases = {site.database for site in sites.values()}
    taken = frozenset(name for name in databases if name.startswith(NAMESPACE_PREFIX))
    contents = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for site, found in pool.map(lambda plan: _read(plan[0], plan[1], taken), plans):
            sites[site.alias] = site
            if not site.problem:
                contents[site.alias] = found
    return contents


def _plan(wanted: list[Site], sites: dict[str, Site]) -> Iterator[tuple[Site, Expected]]:
    scopes, deployments = set[str](), set[str]()
    shared: dict[str, list[tuple[UUID, str]]] = {}
    for alias, organization_id, logical in catalog_facts.read_shared():
        if alias in sites:
            shared.setdefault(sites[alias].scope, []).append((organization_id, logical))
    for site in wanted:
        if site.problem:
            continue
        expected = Expected(
            database=site.scope not in scopes,
            deployment=site.deployment not in deployments,
            shared=shared.get(site.scope, []),
        )
        scopes.add(site.scope)
        deployments.add(site.deployment)
        yield site, expected


def _read(site: Site, expected: Expected, taken: frozenset[str]) -> tuple[Site, Contents]:
    try:
        return site, read_contents(site, expected, taken)
    except (Unavailable, Defect) as error:
        return replace(site, problem=f"{error.detail} {error.hint}".rstrip()), Contents()
