"""Is the process alive, and can it serve?"""

import hmac
import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy import catalog
from tenancy.api import schema
from tenancy.api.metrics import registry
from tenancy.api.viewsets import ApiViewSet
from tenancy.board import BOARD
from tenancy.exceptions import NotFound, TenancyError
from tenancy.mongo.clients import ping

logger = logging.getLogger("tenantry.health")


@extend_schema(tags=["health"])
class HealthViewSet(ApiViewSet):
    """For those who watch over the process."""

    authentication_classes = []
    required = {"livez": "public", "readyz": "public", "metrics": "public"}

    @extend_schema(**schema.LIVEZ)
    def livez(self, request: Request) -> Response:
        """Answer as long as the process does."""
        return Response({"status": "ok"})

    @extend_schema(**schema.READYZ)
    def readyz(self, request: Request) -> Response:
        """Answer 200 when catalog and default cluster can be reached, else 503 with what cannot.

        While it stops, 503 as well: nobody should be sent here any more.
        """
        checks = _checks()
        ready = all(checks.values()) and not BOARD.is_stopping
        body = {
            "status": "stopping" if BOARD.is_stopping else "ready" if ready else "not_ready",
            "checks": {name: "ok" if good else "unreachable" for name, good in checks.items()},
            **_notes(),
        }
        return Response(body, status=200 if ready else 503)

    @extend_schema(**schema.METRICS)
    def metrics(self, request: Request) -> HttpResponse:
        """Answer a Prometheus server that has the token; for all others there is nothing here."""
        expected = f"Bearer {settings.METRICS_TOKEN}".encode()
        given = request.headers.get("Authorization", "").encode()
        if not settings.METRICS_TOKEN or not hmac.compare_digest(given, expected):
            raise NotFound
        return HttpResponse(generate_latest(registry(_checks())), content_type=CONTENT_TYPE_LATEST)


def _checks() -> dict[str, bool]:
    return {"catalog": _answers(_check_catalog), "cluster": _answers(_check_cluster)}


def _notes() -> dict[str, str]:
    """Return what other parts say of themselves; it does not decide whether this one can serve."""
    notes = settings.TENANCY_READINESS_NOTES
    return {name: import_string(function)() for name, function in notes.items()}


def _check_catalog() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tenancy_organization LIMIT 1")


def _check_cluster() -> None:
    ping(catalog.default_uri())


def _answers(check: Callable[[], None]) -> bool:
    try:
        check()
    except (DatabaseError, TenancyError) as error:
        logger.warning("not ready: %s", error)
        return False
    return True
