"""Pages of catalog rows in the order of their creation; each cursor is bound to its list."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from tenancy.api.requests import int_parameter
from tenancy.mongo.cursors import make_cursor, read_cursor

PAGE_DEFAULT_ROWS = 50
PAGE_MAX_ROWS = 1_000

Row = TypeVar("Row", bound=Model)


def page_of_rows(
    request: Request,
    rows: QuerySet[Row],
    represent: Callable[[Row], dict[str, Any]],
    *,
    scope: str,
    newest_first: bool = True,
) -> dict[str, Any]:
    """Return `{data, page}` by the parameters `limit` and `cursor` of a request.

    The rows have `created_at` and a UUID for a key. `scope` is everything that the list depends
    on: whose it is, and every filter. Raises InvalidParameter or CursorInvalid.
    """
    limit = int_parameter(request, "limit", default=PAGE_DEFAULT_ROWS, low=1, high=PAGE_MAX_ROWS)
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        rows = rows.filter(_beyond(read_cursor(scope, cursor), newest_first=newest_first))
    order = ("-created_at", "-pk") if newest_first else ("created_at", "pk")
    found: list[Any] = list(rows.order_by(*order)[: limit + 1])
    following = None
    if len(found) > limit:
        last = found[limit - 1]
        following = make_cursor(scope, [last.created_at.isoformat(), str(last.pk)])
    data = [represent(row) for row in found[:limit]]
    return {"data": data, "page": {"next": following, "limit": limit}}


def _beyond(position: Any, *, newest_first: bool) -> Q:
    created_at, key = datetime.fromisoformat(position[0]), UUID(position[1])
    if newest_first:
        return Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=key)
    return Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gt=key)
