"""One thing that is wrong, as the doctor tells it."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Finding:
    """Something wrong. `where` is a physical name, or an operation's or organization's name.

    `organization` is a slug, or the id where there is none. `reason` says why a repair that was
    tried did not happen.
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

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two findings the same one, seen twice."""
        return self.code, self.organization_id, self.operation_id, self.where
