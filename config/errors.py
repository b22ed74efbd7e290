"""The catalogue of error codes, made from what the product can raise."""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.roles import PUBLIC
from config.problems import CODES_OF_RETRYABLE, FOREIGN, status_of
from tenancy.api.requests import check_parameters
from tenancy.api.schema import answers
from tenancy.api.viewsets import ApiViewSet
from tenancy.exceptions import TenancyError

_ENTRY = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "status": {"type": "integer"},
        "retryable": {"type": "boolean"},
        "detail": {"type": "string", "description": "As it is said where nothing more is known."},
    },
}


def _kinds(root: type[TenancyError]) -> Iterator[type[TenancyError]]:
    """Yield the tree from its root: what a code means in general comes before its special cases."""
    level = [root]
    while level:
        yield from level
        level = [child for kind in level for child in kind.__subclasses__()]


def catalogue() -> list[dict[str, Any]]:
    """Return every code that an answer can carry, by status."""
    found: dict[str, tuple[int, str]] = {}
    for kind in _kinds(TenancyError):
        if "code" in vars(kind):
            found.setdefault(kind.code, (status_of(kind()), kind.default_detail))
    for status, code, detail in FOREIGN.values():
        found.setdefault(code, (status, detail))
    return [
        {"code": code, "status": status, "retryable": status in CODES_OF_RETRYABLE, "detail": text}
        for code, (status, text) in sorted(found.items(), key=lambda entry: (entry[1][0], entry[0]))
    ]


class ErrorViewSet(ApiViewSet):
    """The codes of problems, for people and for those who generate clients."""

    authentication_classes = []
    required = {"list": PUBLIC}

    @extend_schema(
        tags=["health"],
        summary="Every error code, its status and what it means",
        auth=[],
        responses=answers(
            400, s200={"type": "object", "properties": {"data": {"type": "array", "items": _ENTRY}}}
        ),
    )
    def list(self, request: Request) -> Response:
        """Return the catalogue."""
        check_parameters(request)
        return Response({"data": catalogue()})
