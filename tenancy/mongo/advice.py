"""Which index would help a query that was refused, or took too long."""

from contextlib import AbstractContextManager
from typing import Any

from tenancy.exceptions import QueryTimeout
from tenancy.mongo.plans import suggested_keys
from tenancy.mongo.sort_keys import Order

Document = dict[str, Any]

POST_INDEX = "POST `index` to …/indexes."
MOVE_FIRST = (
    "In a collection shared with other organizations only the definition of an index is kept. "
    "Create it, then ask the operator to move the organization to collections of its own: "
    "manage.py move_organization SLUG --to collection"
)


class advised(AbstractContextManager[None]):  # noqa: N801 -- used as contextlib.suppress is
    """Say, when a query takes too long, which index would help."""

    __slots__ = ("_order", "_points")

    def __init__(self, points: Document, order: Order) -> None:
        self._points = points
        self._order = order

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if not isinstance(error, QueryTimeout):
            return
        if keys := suggested_keys(self._points, self._order):
            error.extra["index"] = {"keys": keys}
            error.hint = f"An index on these fields would help. {POST_INDEX}"
        else:
            error.hint = "Ask for equal values in the filter; an index can answer that."
