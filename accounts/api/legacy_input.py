"""What the clients of old send: in query or body, as JSON or form, under more than one name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework.request import Request

from accounts.api.serializers import NamedOrganization
from tenancy.api.requests import check_encoding, child_pointer, validated
from tenancy.api.serializers import NAME_MAX_INPUT
from tenancy.exceptions import FieldError, MalformedJson, TenancyError, ValidationFailed
from tenancy.wording import nearest, shorten

UNKNOWN_MAX = 10


@dataclass(frozen=True)
class Given:
    """The fields of a request by their one name, and the name that the client used for each."""

    fields: dict[str, Any]
    names: dict[str, str]

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """Have the errors that are raised inside point at the names that the client used."""
        try:
            yield
        except TenancyError as error:
            error.errors = tuple(
                replace(each, pointer=self._pointer(each.pointer)) for each in error.errors
            )
            raise

    def _pointer(self, pointer: str) -> str:
        name = pointer.removeprefix("/")
        return child_pointer("", self.names[name]) if name in self.names else pointer


def read_given(
    request: Request, *, query: bool = True, body: bool = True, aliases: Mapping[str, str]
) -> Given:
    """Return what query and body say together.

    Raises ValidationFailed when the body is no object, or when a field has two values.
    """
    given = Given({}, {})
    for name, value in _pairs(request, query=query, body=body):
        field = aliases.get(name, name)
        if field in given.fields and not _same(given.fields[field], value):
            message = f"“{shorten(name)}” contradicts another value that the request has for it."
            pointer = child_pointer("", shorten(name))
            raise ValidationFailed(message, errors=[FieldError(pointer, "contradiction", message)])
        given.fields.setdefault(field, value)
        given.names.setdefault(field, name)
    return given


def read_name(given: Given) -> str:
    """Return the `organization_name`, or raise ValidationFailed; the form is for what is wrong."""
    name = given.fields.get("organization_name")
    if isinstance(name, str) and len(name) <= NAME_MAX_INPUT and "\0" not in name:
        return name
    return str(validated(NamedOrganization, given.fields)["organization_name"])


def check_names(given: Given, *known: str) -> None:
    """Raise ValidationFailed if the request has a field of another name than these."""
    unknown = [name for name in given.names.values() if name not in known]
    if unknown:
        errors = [
            FieldError(
                child_pointer("", shorten(name)),
                "unknown_field",
                f"There is no field “{shorten(name)}” here."
                + (nearest(name, known) or f" There is “{'”, “'.join(known)}”."),
            )
            for name in unknown[:UNKNOWN_MAX]
        ]
        raise ValidationFailed(errors[0].message, errors=errors)


def _pairs(request: Request, *, query: bool, body: bool) -> Iterator[tuple[str, Any]]:
    if query:
        check_encoding(request)
    sources = [request.query_params] * query + [_body(request)] * body
    for source in sources:
        if isinstance(source, MultiValueDict):
            for name, values in source.lists():
                yield from ((name, value) for value in values)
        else:
            yield from source.items()


def _body(request: Request) -> Mapping[str, Any]:
    """Return the body, empty if there is none; what cannot be read is not taken for none."""
    if request.stream is None:
        if _announces_body(request):
            raise MalformedJson("The body needs a Content-Length; without one it is not read.")
        return {}
    data = request.data
    if not isinstance(data, Mapping | MultiValueDict):
        message = "The body must be an object."
        raise ValidationFailed(message, errors=[FieldError("", "invalid", message)])
    if isinstance(data, MultiValueDict) and not data:
        message = "The body is a form without a field."
        raise ValidationFailed(message, errors=[FieldError("", "invalid", message)])
    return data


def _announces_body(request: Request) -> bool:
    length = str(request.META.get("CONTENT_LENGTH") or "").strip()
    return "HTTP_TRANSFER_ENCODING" in request.META or bool(length.strip("0"))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
