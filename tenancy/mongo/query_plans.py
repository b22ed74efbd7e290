"""How MongoDB would answer a query, in a few words of our own: nothing of where things are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tenancy.mongo.plans import suggested_keys
from tenancy.mongo.sort_keys import Order

Document = dict[str, Any]

ID_INDEX = "_id_"
STAGES = {
    "COLLSCAN": "collection_scan",
    "IXSCAN": "index_scan",
    "IDHACK": "id_lookup",
    "CLUSTERED_IXSCAN": "index_scan",
    "EXPRESS_IXSCAN": "index_scan",
    "FETCH": "fetch",
    "SORT": "sort",
    "SORT_MERGE": "sort_merge",
    "LIMIT": "limit",
    "OR": "or",
    "AND_SORTED": "and",
    "AND_HASH": "and",
    "EOF": "nothing_there",
}
# Stages that say nothing to whoever asks.
_UNSAID = frozenset({"CACHED_PLAN", "SUBPLAN", "PROJECTION_DEFAULT", "PROJECTION_SIMPLE"})
# Documents that are examined for each one found, over which an index would help.
WASTE = 10


@dataclass(frozen=True)
class Explanation:
    """How a query is answered. `stages` are in the order in which documents pass them."""

    index: str | None
    stages: tuple[str, ...]
    keys_examined: int
    documents_examined: int
    returned: int
    sorted_in_memory: bool
    suggested_index: list[list[Any]] | None


def explanation_of(answer: Document, points: Mapping[str, Any], order: Order) -> Explanation:
    """Return what MongoDB's `explain` says of a `find`."""
    plan = answer["queryPlanner"]["winningPlan"]
    found = list(_stages(plan.get("queryPlan", plan)))
    figures = answer["executionStats"]
    documents, returned = int(figures["totalDocsExamined"]), int(figures["nReturned"])
    names = [STAGES.get(each["stage"], "other") for each in found if each["stage"] not in _UNSAID]
    indexes = [each["indexName"] for each in found if "indexName" in each]
    is_sorted = "sort" in names
    wasteful = documents > WASTE * max(returned, WASTE)
    return Explanation(
        index=("_id" if indexes[0] == ID_INDEX else indexes[0]) if indexes else None,
        stages=tuple(names),
        keys_examined=int(figures["totalKeysExamined"]),
        documents_examined=documents,
        returned=returned,
        sorted_in_memory=is_sorted,
        suggested_index=suggested_keys(points, order) if is_sorted or wasteful else None,
    )


def _stages(plan: Document) -> Iterator[Document]:
    """Give the stages of a plan, the innermost first."""
    for inner in [plan.get("inputStage"), *plan.get("inputStages", [])]:
        if inner is not None:
            yield from _stages(inner)
    yield plan
