"""Which index would help a query that was refused, or took too long."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def advised(points: Document, order: Order) -> Iterator[None]:
    """Say, when a query takes too long, which index would help."""
    try:
        yield
    except QueryTimeout as error:
        if keys := suggested_keys(points, order):
            error.extra["index"] = {"keys": keys}
            error.hint = f"An index on these fields would help. {POST_INDEX}"
        else:
            error.hint = "Ask for equal values in the filter; an index can answer that."
        raise
