"""Lists of documents: what a request asks for, by parameters or in a body, and the answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson
from rest_framework.request import Request

from tenancy.api.hints import hint_for_selection
from tenancy.api.requests import check_encoding, check_parameters, int_parameter
from tenancy.api.views import DataViewSet
from tenancy.exceptions import (
    CursorInvalid,
    FieldError,
    InvalidInput,
    InvalidParameter,
    SortNeedsIndex,
    UnknownParameter,
    ValidationFailed,
)
from tenancy.mongo.cursors import make_position_cursor, read_position_cursor
from tenancy.mongo.documents import PAGE_MAX_DOCUMENTS, Page, TenantCollection
from tenancy.mongo.extended_json import loads
from tenancy.mongo.filters import canonical, compile_filter, equalities_of
from tenancy.mongo.parameters import filter_of
from tenancy.mongo.projections import checked_fields, checked_sort, parse_fields, parse_sort
from tenancy.mongo.reading import Selection
from tenancy.mongo.sort_keys import Position
from tenancy.mongo.sorted_pages import ended
from tenancy.wanted_indexes import find_wanted_indexes
from tenancy.wording import nearest, shorten

PAGE_DEFAULT_DOCUMENTS = 50
COUNT_MAX = 1_000_000
PARAMETERS = ("limit", "cursor", "filter", "sort", "fields", "count", "types")
QUERY_FIELDS = ("filter", "sort", "fields", "limit", "cursor", "count")
_COUNT = re.compile(r"none|estimated|exact|bounded:[1-9][0-9]{0,6}")
COUNTS = ("none", "estimated", "exact", "bounded:1000")
COUNT_IS = f"none, estimated, exact, or bounded:N with N from 1 to {COUNT_MAX}"


@dataclass(frozen=True)
class Ask:
    """A page that is asked for."""

    wanted: Selection
    limit: int
    cursor: str | None
    count: str

    def scope(self, place: str) -> str:
        """Return what a cursor is bound to: `place`, the filter and the sort."""
        parts = [place, canonical(self.wanted.query), self.wanted.order]
        return orjson.dumps(parts).decode()  # the names of fields may hold any sign

    def read_position(self, scope: str) -> Position | None:
        """Return where to go on, or None for the first page. Raises CursorInvalid."""
        if self.cursor is None:
            return None
        position = read_position_cursor(scope, self.cursor)
        if len(position.values) != len(ended(self.wanted.order, 1)):
            raise CursorInvalid
        return position


# --- what is asked for


# Programs ask the same again and again: what their parameters mean is found out once.
ASKS_KEPT = 1_024
ASK_KEPT_MAX_CHARACTERS = 512
_asks: dict[str, Ask] = {}


def ask_of_parameters(request: Request) -> Ask:
    """Return the page that query parameters ask for: not to be changed, others get it, too.

    Raises InvalidInput of many kinds.
    """
    text = request.META.get("QUERY_STRING", "")
    ask = _asks.get(text)
    if ask is None:
        ask = _read_ask(request)
        if len(text) <= ASK_KEPT_MAX_CHARACTERS:
            if len(_asks) >= ASKS_KEPT:
                _asks.clear()
            _asks[text] = ask
    return ask


def _read_ask(request: Request) -> Ask:
    query = filter_of_parameters(request, PARAMETERS)
    given = request.query_params
    return Ask(
        select(
            query,
            parse_sort(given["sort"]) if "sort" in given else [],
            parse_fields(given["fields"]) if "fields" in given else None,
        ),
        int_parameter(
            request, "limit", default=PAGE_DEFAULT_DOCUMENTS, low=1, high=PAGE_MAX_DOCUMENTS
        ),
        given.get("cursor"),
        _checked_count_parameter(given.get("count", "none")),
    )


def filter_of_parameters(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the compiled filter of `filter` and of all parameters that are not `known`.

    Raises UnknownParameter, InvalidParameter, and what a filter is refused with.
    """
    check_encoding(request)
    pairs, given = _pairs(request), request.query_params
    raw = filter_of(pairs, known)
    if len(pairs) != len(given) or "types" in given:  # none is unknown: once each
        check_parameters(request, *given)
    parts = [compile_filter(raw)] if raw is not None else []
    if "filter" in given:
        parts.append(compile_filter(_loaded(given["filter"]), "/filter"))
    return parts[0] if len(parts) == 1 else {"$and": parts} if parts else {}


def _loaded(text: str) -> Any:
    """Return the JSON of the parameter `filter`. Raises MalformedJson, or InvalidDocument."""
    try:
        return loads(text.encode())
    except InvalidInput as error:
        found = error.errors or [FieldError("", error.code, error.detail)]
        errors = [
            FieldError(f"/filter{each.pointer}", each.code, _of_filter(each.message))
            for each in found
        ]
        raise type(error)(_of_filter(error.detail), errors=errors) from error


def _of_filter(message: str) -> str:
    return message.replace("The body", "“filter”")


def refuse_parameters_of_lists(request: Request, known: tuple[str, ...]) -> None:
    """Raise UnknownParameter for what lists know and this route does not: it is no field."""
    for name in request.query_params:
        if name in PARAMETERS and name not in known:
            raise UnknownParameter(
                f"There is no parameter “{name}” here."
                f" If a field has this name, write “{name}__eq=”."
            )


def _pairs(request: Request) -> list[tuple[str, str]]:
    """Return the parameters as they came, each as often as it came."""
    return [(name, text) for name, texts in request.query_params.lists() for text in texts]


def _checked_count_parameter(text: str) -> str:
    if not is_count(text):
        near = nearest(text, COUNTS)
        raise InvalidParameter(f"“count” is {COUNT_IS}, not “{shorten(text)}”.{near}")
    return text


def is_count(text: str) -> bool:
    """Return whether a text says how to count."""
    return bool(_COUNT.fullmatch(text)) and int(text.partition(":")[2] or 0) <= COUNT_MAX


def select(
    query: dict[str, Any], sort: list[tuple[str, int]], fields: dict[str, int] | None = None
) -> Selection:
    """Return what compiled parts ask for together."""
    return Selection(query, equalities_of(query), tuple(sort), fields)


def ask_of_body(body: Any) -> Ask:
    """Return the page that a body asks for. Raises ValidationFailed with pointers, and more."""
    given = checked_body(body, QUERY_FIELDS)
    limit = given.get("limit", PAGE_DEFAULT_DOCUMENTS)
    if type(limit) is not int or not 1 <= limit <= PAGE_MAX_DOCUMENTS:
        raise wrong("/limit", f"A limit is a whole number from 1 to {PAGE_MAX_DOCUMENTS}.")
    count = given.get("count", "none")
    if not isinstance(count, str) or not is_count(count):
        raise wrong("/count", f"A count is {COUNT_IS}.")
    cursor = given.get("cursor")
    if not isinstance(cursor, str | None):
        raise wrong("/cursor", "A cursor is a string, page.next of the page before, or null.")
    fields = checked_fields(given["fields"]) if "fields" in given else None
    return Ask(select(filter_in(given), sort_in(given), fields), limit, cursor, count)


def checked_body(body: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    """Return a body that is an object of known fields. Raises ValidationFailed."""
    if not isinstance(body, dict):
        raise wrong("", "The body is a JSON object.")
    errors = [
        FieldError(
            f"/{shorten(name).replace('~', '~0').replace('/', '~1')}",
            "unknown_field",
            f"There is no such field here.{nearest(name, known)}",
        )
        for name in body
        if name not in known
    ]
    if errors:
        raise ValidationFailed(errors=errors[:10])
    return body


def wrong(pointer: str, message: str) -> ValidationFailed:
    """Return the error for one field of a body."""
    return ValidationFailed(message, errors=[FieldError(pointer, "invalid", message)])


def filter_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the compiled filter of a body; all documents if it has none."""
    return compile_filter(given.get("filter", {}), "/filter")


def sort_in(given: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the sort of a body, or []."""
    return checked_sort(given["sort"]) if "sort" in given else []


# --- the answer


def page_for(view: DataViewSet, collection: str, ask: Ask) -> dict[str, Any]:
    """Return `{data, page, hint?, count?}`. Raises CursorInvalid, SortNeedsIndex and more."""
    scope = ask.scope(f"{view.tenant.id}/{collection}/documents")
    page = _read(view, collection, ask, ask.read_position(scope))
    following = make_position_cursor(scope, page.position) if page.position else None
    body: dict[str, Any] = {
        "data": page.documents,
        "page": {"next": following, "limit": ask.limit},
    }
    is_empty = not page.documents and ask.cursor is None
    body |= hint_for_selection(view, collection, ask.wanted, is_empty=is_empty)
    return body | ({"count": vars(page.count)} if page.count else {})


def _read(view: DataViewSet, collection: str, ask: Ask, position: Position | None) -> Page:
    indexes = indexes_for(view, collection, ask.wanted)

    def read(documents: TenantCollection) -> Page:
        page = documents.page(ask.wanted, limit=ask.limit, position=position, indexes=indexes)
        if ask.count == "none":
            return page
        return replace(page, count=documents.counted(ask.wanted.query, ask.count))

    try:
        return view.read(collection, read)
    except SortNeedsIndex:
        newer = find_wanted_indexes(view.tenant.id, collection, max_age=0)
        if newer == indexes:
            raise
        indexes = newer
        return view.read(collection, read)


def indexes_for(view: DataViewSet, collection: str, wanted: Selection) -> Any:
    """Return the indexes by which a selection may be answered; the list of all needs none."""
    if view.tenant.address.kind == "shared" or not (wanted.query or wanted.order):
        return ()
    return find_wanted_indexes(view.tenant.id, collection)


def link_to(request: Request, cursor: str) -> str:
    """Return the header that leads to the next page: the same parameters, and the cursor."""
    kept = urlencode([pair for pair in _pairs(request) if pair[0] != "cursor"], safe=":=")
    # A cursor is base64 for URLs, "=" and ":", which stay: nothing in it is to be quoted.
    return f'<{request.path}?{kept}{"&" if kept else ""}cursor={cursor}>; rel="next"'
