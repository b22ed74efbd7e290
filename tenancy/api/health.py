"""Is the process alive, and can it serve?"""

import logging
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from tenancy import catalog
from tenancy.exceptions import TenancyError
from tenancy.mongo.clients import ping

logger = logging.getLogger("tenantry.health")


def livez(request: HttpRequest) -> JsonResponse:
    """Answer as long as the process does."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when catalog and default cluster can be reached, else 503 with what cannot."""
    checks = {"catalog": _answers(_check_catalog), "cluster": _answers(_check_cluster)}
    ready = all(checks.values())
    body = {
        "status": "ready" if ready else "not_ready",
        "checks": {name: "ok" if good else "unreachable" for name, good in checks.items()},
    }
    return JsonResponse(body, status=200 if ready else 503)


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
