"""The audit log of the organization: who did what, the newest first."""

import re
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_audit as schema
from tenancy.api.pages import PAGE_DEFAULT_ROWS, PAGE_MAX_ROWS
from tenancy.api.requests import check_parameters, choice_parameter, int_parameter
from tenancy.api.views import TenantViewSet
from tenancy.audit_chain import Verdict, verify_chain
from tenancy.exceptions import InvalidParameter
from tenancy.models import AuditEvent, AuditEventQuerySet
from tenancy.mongo.cursors import make_cursor, read_cursor
from tenancy.wording import shorten

FILTERS = ("action", "actor", "since", "until")
ACTION = re.compile(r"[a-z0-9_]{1,40}(?:\.[a-z0-9_]{1,40}|\.\*)")
ACTOR = re.compile(r"[a-z]{1,20}(?::[A-Za-z0-9_-]{1,64})?")
# A request verifies the newest of them; `verify_audit` has time for all.
VERIFY_MAX_EVENTS = 20_000


def represent_event(event: AuditEvent) -> dict[str, Any]:
    """Return an event as its organization's admins see it.

    Its number among the events of everybody is left out: it would tell how many others have.
    """
    return {
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "action": event.action,
        "actor": event.actor,
        "details": event.details,
        "request_id": event.request_id or None,
        "address": event.address,
        "hash": event.hash,
    }


def represent_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return what was found in a chain: `from` above 1 says that only the newest were read."""
    broken = verdict.broken
    return {
        "verified": verdict.is_whole,
        "events": verdict.events,
        "from": verdict.first,
        "head": verdict.head,
        "broken": broken
        and {
            "flaw": str(broken.flaw),
            "sequence": broken.sequence,
            "detail": broken.detail,
        },
    }


@extend_schema(tags=["organization"])
class AuditViewSet(TenantViewSet):
    """What was done to the organization, and by whom."""

    required = {"list": "audit.read"}

    @extend_schema(**schema.LIST_EVENTS)
    def list(self, request: Request) -> Response:
        """Return a page of events, the newest first; with `verify=true`, whether they are whole."""
        parameters = check_parameters(request, "limit", "cursor", "verify", *FILTERS)
        is_verified = choice_parameter(request, "verify", ("true", "false")) == "true"
        limit = int_parameter(
            request, "limit", default=PAGE_DEFAULT_ROWS, low=1, high=PAGE_MAX_ROWS
        )
        key = str(self.tenant.id)
        chosen = {name: parameters.get(name) for name in FILTERS}
        scope = f"{key}/audit/{chosen}"
        found = _chosen(key, chosen)
        if (cursor := parameters.get("cursor")) is not None:
            found = found.filter(sequence__lt=read_cursor(scope, cursor))
        rows = [*found.order_by("-sequence")[: limit + 1]]
        following = make_cursor(scope, rows[limit - 1].sequence) if len(rows) > limit else None
        answer: dict[str, Any] = {"data": [represent_event(row) for row in rows[:limit]]}
        answer["page"] = {"next": following, "limit": limit}
        if is_verified:
            verdict = verify_chain(key, newest=VERIFY_MAX_EVENTS)
            answer["verification"] = represent_verdict(verdict)
        return Response(answer)


def _chosen(key: str, wanted: dict[str, str | None]) -> AuditEventQuerySet:
    found = AuditEvent.objects.in_chain(key)
    action, actor = wanted["action"], wanted["actor"]
    if action is not None:
        found = found.filter(**_action(action))
    if actor is not None:
        if not ACTOR.fullmatch(actor):
            raise InvalidParameter(f"“actor” is like user:<id>, not “{shorten(actor)}”.")
        found = found.filter(actor=actor)
    for name, condition in (("since", "at__gte"), ("until", "at__lt")):
        text = wanted[name]
        if text is not None:
            found = found.filter(**{condition: _moment(name, text)})
    return found


def _action(text: str) -> dict[str, str]:
    if not ACTION.fullmatch(text):
        raise InvalidParameter(
            f"“action” is like session.opened or session.*, not “{shorten(text)}”."
        )
    return {"action__startswith": text[:-1]} if text.endswith("*") else {"action": text}


def _moment(name: str, text: str) -> datetime:
    """Return a moment of RFC 3339, in UTC if it does not say. Raises InvalidParameter."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidParameter(
            f"“{name}” is a date or a moment such as 2026-01-31T09:30:00Z, not “{shorten(text)}”."
        ) from None
