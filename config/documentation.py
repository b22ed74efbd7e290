"""The API document and its page; they are read, and that is all."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from accounts.api.legacy import LegacyViewSet
from config.errors import catalogue
from tenancy.api.schema_hooks import operations_of
from tenancy.exceptions import TenancyError

READING = ["get", "head"]
# Where a code can be met that is not met everywhere: a pattern of "METHOD path".
_ONE = r"\S+ /api/v1/collections/{collection}/documents"
_DATA = r"\S+ /api/v1/collections/"
_FILTERED = (
    rf"{_DATA}\S+/(query|count|distinct|aggregate|explain|update-many|delete-many|export)$"
    r"|get \S+/documents$"
)
_SORTED = r"get \S+/documents$|post \S+/(query|explain)$"
_WRITING = rf"(post|put|patch) {_ONE[4:]}|post \S+/(bulk|update-many|import)$"
_ACCOUNT = r"\S+ /(api/v1/(auth|me|organizations?|invitations)\b|admin/login|org/)"
WHERE = {
    "bulk_aborted": r"post \S+/bulk$",
    "import_stopped": r"post \S+/import$",
    "max_affected_exceeded": r"post \S+/(update|delete)-many$",
    "stage_not_allowed": r"post \S+/aggregate$",
    "operator_not_allowed": _FILTERED,
    "query_too_complex": _FILTERED,
    "sort_needs_index": _SORTED,
    "type_not_allowed": f"{_FILTERED}|{_WRITING}",
    "schema_violation": _WRITING,
    "cursor_invalid": r"get |post \S+/(query|check)$",
    "invalid_id": rf"{_ONE}/|post \S+/bulk$",
    "revision_conflict": rf"{_DATA}",
    "placement_unsupported": r"post \S+/(indexes|bulk|update-many|delete-many|import|documents)$",
    **dict.fromkeys(
        (
            "invalid_credentials", "two_factor_required", "two_factor_invalid", "refresh_reused",
            "invitation_expired", "last_owner", "name_taken", "not_cancellable", "not_deleted",
            "cluster_full",
        ),
        _ACCOUNT,
    ),
}  # fmt: skip
# Where the clients of old are told of what is taken, and by which status.
_OLD = r"(post /org/create|put /org/update)$"
_OLD_STATUS = {
    kind.code: status
    for kind, status in LegacyViewSet.problem_status.items()
    if issubclass(kind, TenancyError)
}
# These are met wherever a token or an organization is needed; refusals of the router itself.
_BY_KEY = frozenset(("idempotency_in_progress", "idempotency_key_reused"))

# By the HTTP server, before any route: the limits are `uri::MAX_LEN` of the crate `http` and
# granian's --http1-buffer-size.
TOO_LONG = {
    "414": "The address is longer than 65,534 bytes. Without a body. POST …/query takes filters.",
    "431": "Address and headers are longer than 408 KiB. Without a body.",
}


def _by_status(overrides: Mapping[str, int]) -> dict[str, list[str]]:
    """Return the codes by status; some are told by another one than usually."""
    found = defaultdict(list)
    for entry in catalogue():
        found[str(overrides.get(entry["code"], entry["status"]))].append(entry["code"])
    return found


def name_codes(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say in the description of each problem which codes it can have. A hook."""
    usual, of_old = _by_status({}), _by_status(_OLD_STATUS)
    for path, method, operation in operations_of(result):
        by_status = of_old if re.match(_OLD, f"{method} {path}") else usual
        takes_key = any(each["name"] == "Idempotency-Key" for each in operation["parameters"]) \
            if "parameters" in operation else False  # fmt: skip
        for status, answer in operation["responses"].items():
            codes = [
                code
                for code in by_status[status]
                if re.match(WHERE.get(code, ""), f"{method} {path}")
                and (takes_key or code not in _BY_KEY)
            ]
            if "application/problem+json" in answer.get("content", {}) and codes:
                named = ", ".join(f"`{code}`" for code in codes)
                answer["description"] = f"{answer['description']} {named}."
                answer["x-codes"] = codes
    return result


def name_refusals_of_server(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say how the HTTP server refuses what no route reads: where addresses can be long. A hook."""
    for _path, _method, operation in operations_of(result):
        if any(each["in"] == "query" for each in operation.get("parameters", ())):
            for status, description in TOO_LONG.items():
                operation["responses"][status] = {"description": description}
    return result


class DocumentView(SpectacularJSONAPIView):
    """The OpenAPI document."""

    http_method_names = READING


class DocumentationPage(SpectacularSwaggerView):
    """The page on which people read it."""

    http_method_names = READING
