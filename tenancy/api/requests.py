"""What every view asks of a request: strict parameters, strict bodies, conditions, the actor."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_to_bytes

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from tenancy.exceptions import (
    FieldError,
    InvalidParameter,
    MalformedJson,
    TenancyError,
    UnknownParameter,
    ValidationFailed,
)
from tenancy.mongo.revisions import IfMatch
from tenancy.wording import nearest, shorten

TYPES = ("lossless", "plain")
_ETAG = re.compile(r'(W/)?"([^"]*)"')
# A list of them; places in it may be empty: RFC 9110, section 5.6.1.2. A comma may be in an ETag.
_ETAGS = re.compile(r'[ \t,]*(?:W/)?"[^"]*"(?:[ \t]*,[ \t,]*(?:W/)?"[^"]*")*[ \t,]*')
ONE_CONDITION = "Send If-Match or If-None-Match, not both."
_REVISION = re.compile(r"r([0-9]{1,18})")


def actor_of(request: Request) -> str:
    """Return who acts, as `user:<id>`."""
    principal: Any = request.user
    return str(principal.actor)


def seen_collections(request: Request, names: Iterable[str]) -> list[str]:
    """Return those of the names, sorted, that whoever asks may know of."""
    principal: Any = request.user
    return sorted(name for name in names if principal.may_touch(name))


def check_collection(request: Request, name: str) -> None:
    """Refuse a collection that a body names and whoever asks may not touch.

    Those in a path are checked along with the permission.
    """
    principal: Any = request.user
    principal.check_collection(name)


def check_parameters(request: Request, *known: str) -> Mapping[str, str]:
    """Return the query parameters.

    Raises UnknownParameter, or InvalidParameter if one is repeated, or they are not UTF-8.
    """
    check_encoding(request)
    for name, values in request.query_params.lists():
        if name not in known:
            message = f"There is no parameter “{shorten(name)}” here.{nearest(name, known)}"
            raise UnknownParameter(message, errors=[FieldError("", "unknown_parameter", message)])
        if len(values) > 1:
            raise InvalidParameter(f"The parameter “{name}” is given {len(values)} times.")
        if name == "types":
            _check_types(values[0])
    return request.query_params


def check_encoding(request: Request) -> None:
    """Refuse a query that is not UTF-8: Django would put U+FFFD in. Raises InvalidParameter."""
    text = request.META.get("QUERY_STRING", "")
    if "%" not in text and text.isascii():
        return
    try:
        unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeError as error:
        raise InvalidParameter("The query is not in UTF-8.") from error


def _check_types(value: str) -> None:
    """Refuse a value of `types`, which `tenancy.api.json.JsonRenderer` acts on, before anything."""
    if value not in TYPES:
        raise _no_choice("types", value, TYPES)


def int_parameter(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """Return a whole number between two bounds. Raises InvalidParameter."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise InvalidParameter(
            f"“{name}” is a whole number from {low} to {high}, not “{shorten(text)}”."
        )
    return int(text)


def choice_parameter(request: Request, name: str, choices: Collection[str]) -> str | None:
    """Return one of the choices, or None where the parameter is not given.

    Raises InvalidParameter.
    """
    text = request.query_params.get(name)
    if text is not None and text not in choices:
        raise _no_choice(name, text, choices)
    return text


def _no_choice(name: str, text: str, choices: Collection[str]) -> InvalidParameter:
    return InvalidParameter(
        f"“{name}” is one of {', '.join(choices)}, not “{shorten(text)}”.{nearest(text, choices)}"
    )


def json_body(request: Request) -> Any:
    """Return the parsed body. Raises MalformedJson when there is none."""
    if request.stream is None:  # DRF would go on with an empty object
        raise MalformedJson(
            "The body is empty. Send JSON with Content-Type: application/json and a Content-Length."
        )
    return request.data


def if_match(request: Request) -> IfMatch | None:
    """Return the `If-Match` condition, or None. Raises InvalidParameter if it is no ETag list."""
    header = request.META.get("HTTP_IF_MATCH")
    if header is None:
        return None
    if header.strip() == "*":
        return IfMatch(None)
    # A weak or foreign ETag is well-formed and matches nothing: RFC 9110, section 13.1.1.
    return IfMatch(frozenset(_revisions(header, "If-Match", weak=False)))


def condition_of_change(request: Request) -> IfMatch | None:
    """Return what `If-Match` or `If-None-Match` say of a document that is there, or None.

    Raises InvalidParameter, also for both of them.
    """
    condition, header = if_match(request), request.META.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return condition
    if condition is not None:
        raise InvalidParameter(ONE_CONDITION)
    if header.strip() == "*":
        return IfMatch(None, is_negated=True)
    named = frozenset(_revisions(header, "If-None-Match", weak=True))
    return IfMatch(named, is_negated=True)


def creates_only(request: Request) -> bool:
    """Return whether `If-None-Match: *` asks for a new document. Raises for any other value."""
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header is not None and header.strip() != "*":
        raise InvalidParameter("If-None-Match of a PUT can only be “*”.")
    return header is not None


def has_current(request: Request, revision: int) -> bool:
    """Return whether `If-None-Match` of a read names the revision the caller would get."""
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return False
    return header.strip() == "*" or revision in _revisions(header, "If-None-Match", weak=True)


def _revisions(header: str, name: str, *, weak: bool) -> list[int]:
    if not _ETAGS.fullmatch(header):
        raise InvalidParameter(f'{name} is “*” or a list of ETags such as "r3".')
    usable = [tag for is_weak, tag in _ETAG.findall(header) if weak or not is_weak]
    return [int(found[1]) for tag in usable if (found := _REVISION.fullmatch(tag))]


@contextmanager
def pointing_into(place: str) -> Iterator[None]:
    """Have what is wrong with a part of the body pointed at in the body, where the part is."""
    try:
        yield
    except TenancyError as error:
        error.errors = tuple(
            FieldError(f"{place}{each.pointer}", each.code, each.message) for each in error.errors
        )
        raise


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses fields it does not know, and says which it meant."""

    def to_internal_value(self, data: Any) -> Any:
        """Check the names of the fields, then the fields."""
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                raise serializers.ValidationError(
                    {shorten(name): [self._unknown(name)] for name in unknown[:10]}
                )
        return super().to_internal_value(data)

    def _unknown(self, name: str) -> ErrorDetail:
        message = f"There is no such field here.{nearest(name, self.fields)}"
        return ErrorDetail(message, code="unknown_field")


def validated(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return the validated fields. Raises ValidationFailed with a pointer to each wrong one."""
    form = serializer(data=data)
    if not form.is_valid():
        raise ValidationFailed(errors=field_errors(form.errors))
    result: dict[str, Any] = form.validated_data
    return result


def field_errors(errors: Any, pointer: str = "") -> list[FieldError]:
    """Return a serializer's nested errors as flat pointers."""
    if isinstance(errors, Mapping):
        return [
            error
            for name, inner in errors.items()
            for error in field_errors(inner, child_pointer(pointer, str(name)))
        ]
    if isinstance(errors, list):
        return [error for inner in errors for error in field_errors(inner, pointer)]
    return [FieldError(pointer, str(getattr(errors, "code", "invalid")), str(errors))]


def child_pointer(pointer: str, name: str) -> str:
    """Return the RFC 6901 pointer to a member; what concerns the whole points at the whole."""
    if name == "non_field_errors":
        return pointer
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
