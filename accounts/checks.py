"""System checks of what concerns people: a wrong setting is named before it does harm."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from accounts.confirmed_signup import MODES
from accounts.signing import key_pairs
from accounts.throttles import LIMITS, parse_limit
from tenancy.exceptions import Misconfigured

# Within so many seconds a demotion, a removal or a sign-out holds everywhere.
ROW_TTL_MAX_SECONDS = 5.0
PAGES = ("ACCOUNTS_RESET_URL", "ACCOUNTS_CONFIRMATION_URL", "ACCOUNTS_INVITATION_URL")


@register()
def check_limits(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error for each limit that is not written as one."""
    return [
        Error(f"{name} is one limit such as 10/15 minutes, not “{text}”.", id="accounts.E001")
        for name, text in ((name, getattr(settings, name)) for name in LIMITS)
        if not _is_limit(text)
    ]


@register()
def check_redis_url(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error unless the URL can be one of Redis. It is not repeated: it has a password."""
    if not settings.REDIS_URL or _is_redis_url(settings.REDIS_URL):
        return []
    message = "REDIS_URL is redis://:password@host:port/0, or begins with rediss:// or unix://."
    return [Error(message, id="accounts.E002")]


@register()
def check_signup(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error unless there is such a way to sign up."""
    if settings.ACCOUNTS_SIGNUP in MODES:
        return []
    return [Error(f"ACCOUNTS_SIGNUP is one of {', '.join(MODES)}.", id="accounts.E003")]


@register()
def check_hashers(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error unless passwords can be hashed."""
    if settings.ACCOUNTS_HASHERS >= 1:
        return []
    return [Error("ACCOUNTS_HASHERS is at least 1.", id="accounts.E004")]


@register()
def check_pages(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error for each page of an application that a letter could not lead to."""
    return [
        Error(f"{name} has {{token}} in it, where the token goes.", id="accounts.E005")
        for name in PAGES
        if (url := getattr(settings, name)) and "{token}" not in url
    ]


@register()
def check_limits_are_on(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return a warning where nothing stands between production and a guesser of passwords."""
    if settings.RATE_LIMITS or not settings.TENANTRY_PRODUCTION:
        return []
    message = "RATE_LIMITS is off: passwords can be guessed without end. It is for benchmarks."
    return [CheckWarning(message, id="accounts.W001")]


def _is_limit(text: str) -> bool:
    try:
        parse_limit(text)
    except ValueError:
        return False
    return True


def _is_redis_url(url: str) -> bool:
    from redis import Redis  # late: it costs every start much, and few have one

    try:
        Redis.from_url(url).close()
    except ValueError:
        return False
    return True


@register()
def check_signing_keys(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error unless tokens can be signed with what JWT_PRIVATE_KEY names."""
    try:
        key_pairs()
    except Misconfigured as error:
        hint = "manage.py rotate_signing_key --file PATH makes one."
        return [Error(error.detail, hint=hint, id="accounts.E006")]
    return []


@register()
def check_row_ttl(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Return an error unless what ends a session or a role bites soon."""
    if 0 < settings.ACCOUNTS_ROW_TTL <= ROW_TTL_MAX_SECONDS:
        return []
    message = f"ACCOUNTS_ROW_TTL is more than 0 and at most {ROW_TTL_MAX_SECONDS} seconds."
    return [Error(message, id="accounts.E007")]
