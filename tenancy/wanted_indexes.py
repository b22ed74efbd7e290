"""The indexes that an organization wants, remembered for a while: what pages are planned by.

Nothing depends on their being right. An index that is gone meanwhile is done without; one that has
come is looked for before a sort is refused for the lack of it.
"""

from uuid import UUID

from tenancy.caching import AgedCache
from tenancy.lifecycle import declared_indexes
from tenancy.mongo.indexes import IndexSpec

WANTED_INDEXES_TTL_SECONDS = 30.0
CACHE_MAX_ORGANIZATIONS = 10_000

_cache: AgedCache[UUID, dict[str, list[IndexSpec]]] = AgedCache(
    declared_indexes, max_entries=CACHE_MAX_ORGANIZATIONS, name="wanted_indexes"
)


def find_wanted_indexes(
    organization_id: UUID, collection: str, *, max_age: float = WANTED_INDEXES_TTL_SECONDS
) -> tuple[IndexSpec, ...]:
    """Return the indexes declared for a collection, as they were at most `max_age` seconds ago."""
    found = _cache.find(organization_id, max_age) or {}
    return tuple(found.get(collection, ()))
