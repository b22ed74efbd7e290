"""System checks: a wrong setting is named before it does harm."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from tenancy import encryption
from tenancy.board import ROWS
from tenancy.names import DATABASE_MAX_BYTES, NAMINGS
from tenancy.operations import KINDS

CATALOG_TTL_MAX_SECONDS = 5.0
# Each is a thread of the process, and Python has one lock for all of them.
THREADS_MAX, QUEUE_MAX = 256, 4_096
PROCESSES_MAX = ROWS
# Whoever waits longer than this has long been given up by a proxy.
QUEUE_MAX_SECONDS = 60
STOP_MAX_SECONDS = DRAIN_MAX_SECONDS = 3_600
# HS256 is as strong as its key, up to 256 bits: RFC 7518, section 3.2.
SECRET_KEY_MIN_CHARACTERS = 32
REDIS_PREFIX_FORM = re.compile(r"[A-Za-z0-9.:_-]{1,64}")


def _positive(name: str) -> bool:
    return bool(getattr(settings, name) > 0)


# id -> (what must hold, what to say if it does not)
SETTINGS: dict[str, tuple[Callable[[], bool], str]] = {
    "tenancy.E001": (
        lambda: settings.TENANCY_NAMING in NAMINGS,
        f"TENANCY_NAMING is one of {', '.join(NAMINGS)}.",
    ),
    "tenancy.E002": (
        lambda: 0 < settings.TENANCY_CATALOG_TTL <= CATALOG_TTL_MAX_SECONDS,
        f"TENANCY_CATALOG_TTL is more than 0 and at most {CATALOG_TTL_MAX_SECONDS} seconds.",
    ),
    "tenancy.E003": (
        lambda: _positive("TENANCY_OPERATION_TIMEOUT"),
        "TENANCY_OPERATION_TIMEOUT is a positive number of seconds.",
    ),
    "tenancy.E004": (
        lambda: (
            0 < len(settings.TENANCY_DATABASE.encode()) <= DATABASE_MAX_BYTES
            and not set(settings.TENANCY_DATABASE) & set('/\\. "$*<>:|?\0')
            and settings.TENANCY_DATABASE not in {"admin", "config", "local"}
        ),
        "TENANCY_DATABASE is a database name of 1 to 63 bytes, not one of MongoDB's own.",
    ),
    "tenancy.E005": (
        lambda: (
            1 <= settings.TENANTRY_PROCESSES <= PROCESSES_MAX
            and 1 <= settings.TENANTRY_THREADS <= THREADS_MAX
        ),
        f"TENANTRY_PROCESSES and TENANTRY_THREADS are 1 to {PROCESSES_MAX} and {THREADS_MAX}.",
    ),
    "tenancy.E006": (
        lambda: not (settings.TENANTRY_PRODUCTION and settings.TENANTRY_FAILPOINT),
        "TENANTRY_FAILPOINT ends the process on purpose; unset it in production.",
    ),
    "tenancy.E007": (
        lambda: not settings.TENANTRY_FAILPOINT or settings.TENANTRY_FAILPOINT in fail_points(),
        "TENANTRY_FAILPOINT is no <kind>.<step> that `show_operations --steps` lists.",
    ),
    "tenancy.E008": (
        lambda: not settings.MONGODB_URI or settings.MONGODB_URI.startswith("mongodb"),
        "MONGODB_URI begins with mongodb:// or mongodb+srv://.",
    ),
    "tenancy.E009": (
        lambda: not settings.TENANTRY_PRODUCTION or bool(settings.ALLOWED_HOSTS),
        "ALLOWED_HOSTS names the hosts that are answered; production needs at least one.",
    ),
    "tenancy.E010": (
        lambda: (
            not settings.TENANTRY_PRODUCTION
            or len(settings.SECRET_KEY) >= SECRET_KEY_MIN_CHARACTERS
        ),
        f"SECRET_KEY has at least {SECRET_KEY_MIN_CHARACTERS} characters in production.",
    ),
    "tenancy.E011": (
        lambda: encryption.are_keys(settings.FIELD_ENCRYPTION_KEYS),
        "FIELD_ENCRYPTION_KEYS are Fernet keys: 32 bytes each, in URL-safe base64.",
    ),
    "tenancy.E012": (
        lambda: _positive("TENANCY_CLUSTER_CEILING"),
        "TENANCY_CLUSTER_CEILING is at least 1.",
    ),
    "tenancy.E013": (
        lambda: REDIS_PREFIX_FORM.fullmatch(settings.REDIS_PREFIX) is not None,
        "REDIS_PREFIX is 1 to 64 letters, digits, dots, colons, dashes or underscores.",
    ),
    "tenancy.E014": (
        lambda: 0 <= settings.TENANTRY_QUEUE <= QUEUE_MAX,
        f"TENANTRY_QUEUE is “auto”, or how many requests may wait: 0 to {QUEUE_MAX}.",
    ),
    "tenancy.E015": (
        lambda: 0 < settings.TENANTRY_QUEUE_SECONDS <= QUEUE_MAX_SECONDS,
        f"TENANTRY_QUEUE_SECONDS is more than 0 and at most {QUEUE_MAX_SECONDS} seconds.",
    ),
    "tenancy.E016": (
        lambda: 0 < settings.TENANTRY_STOP_SECONDS <= STOP_MAX_SECONDS,
        f"TENANTRY_STOP_SECONDS is more than 0 and at most {STOP_MAX_SECONDS} seconds.",
    ),
    "tenancy.E017": (
        lambda: 0 <= settings.TENANTRY_DRAIN_SECONDS <= DRAIN_MAX_SECONDS,
        f"TENANTRY_DRAIN_SECONDS is 0 to {DRAIN_MAX_SECONDS} seconds.",
    ),
}


def fail_points() -> list[str]:
    """Return every `<kind>.<step>` at which an operation can be interrupted on purpose."""
    import tenancy.lifecycle  # noqa: F401 -- registers the kinds

    points = []
    for kind in KINDS.values():
        points += [f"{kind.name}.{step.name}" for step in kind.steps]
        points += [f"{kind.name}.undo"] * (kind.undo is not None)
    return points


@register()
def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error for each setting that does not hold."""
    return [Error(message, id=id_) for id_, (holds, message) in SETTINGS.items() if not holds()]
