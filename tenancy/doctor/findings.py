"""One thing that is wrong, as the doctor tells it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from tenancy.models import Cluster
from tenancy.names import OWN_DATABASE, Kind

RoomKind = Literal["shared", "collection", "database"]
GROUP_EXAMPLES = 20
# What is worth knowing, and not wrong: it does not change how an examination ends.
WARNINGS = frozenset((
    "cluster_nearly_full", "idle_cluster_unreachable", "orphan_database", "undeclared_index",
))  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Something wrong. `where` is a physical name, or an operation's or organization's name.

    `organization` is a slug, or the id where there is none. `reason` says why a repair that was
    tried did not happen. What lies in MongoDB is at `kind`, `namespace` and `collection`, the
    logical name; `physical` is the one that MongoDB knows. `subject` is the name of an index.
    """

    code: str
    organization: str | None
    what: str
    where: str
    repairable: bool
    repaired: bool = False
    reason: str = ""
    organization_id: UUID | None = None
    operation_id: UUID | None = None
    cluster: str = Cluster.DEFAULT
    kind: RoomKind | None = None
    namespace: str | None = None
    collection: str | None = None
    physical: str | None = None
    subject: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two findings the same one, seen twice."""
        return (
            self.code, self.cluster, self.organization_id, self.operation_id, self.where,
            self.subject,
        )  # fmt: skip

    @property
    def is_warning(self) -> bool:
        """Whether it is worth knowing, and not wrong."""
        return self.code in WARNINGS

    @property
    def outcome(self) -> str:
        """What a repair has done or would do about it, as a sentence."""
        if self.repaired:
            return "Repaired."
        if self.reason:
            return f"Not repaired: {self.reason}"
        return "--repair mends it." if self.repairable else "--repair cannot mend it."

    @property
    def place(self) -> str:
        """Where it is and whose it is, for people."""
        cluster = "" if self.cluster == Cluster.DEFAULT else f" on cluster {self.cluster}"
        return self.where + cluster + (f" of {self.organization}" if self.organization else "")


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one kind, of which the same is to be said: how many, and the first of them."""

    code: str
    what: str
    outcome: str
    count: int
    examples: list[str]


def group_findings(
    findings: Iterable[Finding], examples: int = GROUP_EXAMPLES
) -> list[FindingGroup]:
    """Return findings in groups, in the order in which they were found."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.what, finding.outcome), []).append(finding)
    return [
        FindingGroup(*told, len(same), [each.place for each in same[:examples]])
        for told, same in groups.items()
    ]


def room_kind(kind: Kind | str) -> RoomKind:
    """Return what a kind of placement looks like in MongoDB: two of them look alike."""
    if kind in OWN_DATABASE:
        return "database"
    return "shared" if kind == "shared" else "collection"
