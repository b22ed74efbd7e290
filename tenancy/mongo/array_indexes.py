"""Which indexes have met arrays: MongoDB gives such a document one entry for each element."""

from tenancy.caching import AgedCache
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.extended_types import REPLY_OPTIONS
from tenancy.names import PlacementAddress

# An index that has met an array keeps it in mind; one that has not may meet one at any time.
ARRAYS_TTL_SECONDS = 60.0
CACHE_MAX_INDEXES = 10_000


def _read_arrays(key: tuple[PlacementAddress, str, str]) -> frozenset[str]:
    address, physical, index = key
    find = {"find": physical, "filter": {}, "hint": index, "limit": 1}
    explain = {"explain": find, "verbosity": "queryPlanner"}
    answer = get_database(address).command(explain, codec_options=REPLY_OPTIONS)
    stage: Document | None = answer["queryPlanner"]["winningPlan"]
    stage = stage.get("queryPlan", stage) if stage else None
    while stage is not None and "multiKeyPaths" not in stage:
        stage = stage.get("inputStage")
    paths: Document = stage["multiKeyPaths"] if stage else {}
    return frozenset(field for field, arrays in paths.items() if arrays)


_cache: AgedCache[tuple[PlacementAddress, str, str], frozenset[str]] = AgedCache(
    _read_arrays, max_entries=CACHE_MAX_INDEXES, name="array_indexes"
)


def fields_with_arrays(address: PlacementAddress, physical: str, index: str) -> frozenset[str]:
    """Return the fields of an index that have met arrays, as of at most a minute ago.

    Raises what the driver does for an index that is not there. One command, if it is not known.
    """
    return _cache.find((address, physical, index), ARRAYS_TTL_SECONDS) or frozenset()


def forget_arrays() -> None:
    """Forget what is known, as a new process would have it."""
    _cache.clear()
