"""A name may be dropped and given to a new collection: work in several steps notices."""

from uuid import UUID

from tenancy.exceptions import IdempotencyKeyReused
from tenancy.models import Collection

ANOTHER = (
    "The collection was dropped meanwhile: what an earlier attempt under this Idempotency-Key"
    " stored is not there any more. Take a new key to begin anew."
)


def find_incarnation(organization_id: UUID, collection: str) -> int | None:
    """Return what the collection has in common with no other, earlier or later. Reads only."""
    same = Collection.objects.filter(organization_id=organization_id, name=collection)
    return same.values_list("pk", flat=True).first()


class SameCollection:
    """What an attempt holds on to: the collection that its first step was for.

    `noted` is what an earlier attempt wrote down, which is what this one's `incarnation` then is.
    """

    def __init__(self, organization_id: UUID, collection: str, noted: int | None = None) -> None:
        self._organization_id = organization_id
        self._collection = collection
        self.incarnation = noted

    def check(self) -> None:
        """Raise IdempotencyKeyReused if there is another one of that name, or none."""
        now = find_incarnation(self._organization_id, self._collection)
        if self.incarnation is None:
            self.incarnation = now
        elif now != self.incarnation:
            raise IdempotencyKeyReused(ANOTHER)
