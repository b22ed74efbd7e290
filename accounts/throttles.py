"""How often: to sign in, to sign up, and to use the API. Every number is a setting or a plan's.

What is counted goes by the network that a request comes from, by an e-mail address, whether or not
there is such a user, and by both together. Keys are digests: no store knows an address.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from limits import RateLimitItem, parse_many
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts import limit_stores
from accounts.authentication import find_principal
from accounts.exceptions import RateLimited
from accounts.limit_windows import Taken, Window
from accounts.models import Session, User, normalize_email
from accounts.principals import Member, Principal
from accounts.roles import PUBLIC, SIGNED_IN
from tenancy.audit import record_event
from tenancy.catalog import get_tenant
from tenancy.context import current_origin
from tenancy.exceptions import OrganizationNotFound
from tenancy.middleware import client_address

LOGIN_LIMITS = ("LIMIT_LOGIN_ADDRESS", "LIMIT_LOGIN_PAIR", "LIMIT_LOGIN_ACCOUNT")
_ACCOUNT = LOGIN_LIMITS.index("LIMIT_LOGIN_ACCOUNT")
LIMITS = (
    *LOGIN_LIMITS, "LIMIT_TWO_FACTOR_ACCOUNT", "LIMIT_SIGNUP_ADDRESS", "LIMIT_FORGOT_ADDRESS",
    "LIMIT_FORGOT_ACCOUNT", "LIMIT_REFRESH_ADDRESS", "LIMIT_INVITATION_ADDRESS",
)  # fmt: skip
# From where somebody has signed in lately, others cannot keep them from signing in again.
FAMILIAR_FOR = timedelta(days=30)
FAMILIAR_MAX_ADDRESSES = 200
# What one customer of a provider has: RFC 6177.
IPV6_NETWORK_BITS = 64
KEY_BYTES = 16
PLANS_KEPT = 10_000
TOO_MANY_ATTEMPTS = "Too many attempts. Wait a moment and try again."


@lru_cache(maxsize=64)
def parse_limit(text: str) -> RateLimitItem:
    """Return one limit, such as `10/15 minutes`. Raises ValueError."""
    items = parse_many(text)
    if len(items) != 1 or items[0].amount < 1:
        raise ValueError(f"“{text}” is not one limit, such as 10/15 minutes.")
    return items[0]


def network_of(address: str | None) -> str:
    """Return whom an address stands for: itself, or all that share an IPv6 network; maybe none."""
    if address is None:
        return ""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, IPV6_NETWORK_BITS), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _window(name: str, *whom: str) -> Window:
    item = parse_limit(getattr(settings, name))
    text = "\0".join((name, *whom)).encode(errors="surrogatepass")
    secret = settings.SECRET_KEY.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    digest = hashlib.blake2b(text, digest_size=KEY_BYTES, key=secret).hexdigest()
    return Window(digest, item.amount, item.get_expiry())


# --- Sign in ------------------------------------------------------------------------------------


def _login_windows(email: str, address: str | None) -> list[Window]:
    """Return the windows of an attempt, in the order of LOGIN_LIMITS."""
    network, account = network_of(address), normalize_email(email)
    whom = ((network,), (network, account), (account,))
    return [_window(name, *each) for name, each in zip(LOGIN_LIMITS, whom, strict=True)]


def count_login(email: str, address: str | None) -> None:
    """Count an attempt to sign in. Call it before the password is looked at.

    Raises RateLimited, which does not tell by which limit, nor whether there is such a user. An
    attempt that is refused is not counted.
    """
    if not settings.RATE_LIMITS:
        return
    windows = _login_windows(email, address)
    full = limit_stores.take(windows).full
    if full == (_ACCOUNT,) and is_familiar(email, address):
        full = limit_stores.take(windows[:_ACCOUNT]).full
    if not full:
        return
    _record_limited(LOGIN_LIMITS[full[0]], windows[full[0]], email)
    raise RateLimited(TOO_MANY_ATTEMPTS, retry_after=min(each.seconds for each in windows))


def is_familiar(email: str, address: str | None) -> bool:
    """Return whether this account was signed in to from there lately; false without a user."""
    if address is None:
        return False
    since = timezone.now() - FAMILIAR_FOR
    rows = Session.objects.filter(user__email=normalize_email(email), created_at__gte=since)
    network = network_of(address)
    if "/" not in network:
        return rows.filter(address__in=[address, network]).exists()
    known = rows.exclude(address=None).order_by().values_list("address", flat=True).distinct()
    return any(network_of(each) == network for each in known[:FAMILIAR_MAX_ADDRESSES])


def forget_logins(email: str, address: str | None) -> None:
    """Empty the windows of pair and account, once everything was right; never the address's."""
    if settings.RATE_LIMITS:
        limit_stores.forget(_login_windows(email, address)[1:])


def forget_account(email: str) -> None:
    """Empty the account's window, once a new password was set by a letter to its address."""
    if settings.RATE_LIMITS:
        limit_stores.forget([_window(LOGIN_LIMITS[_ACCOUNT], normalize_email(email))])


@contextmanager
def login_attempt(email: str) -> Iterator[None]:
    """Count an attempt of whoever sends the current request; what ends well is forgotten.

    For a password that is asked for beside the sign-in. Raises RateLimited.
    """
    address = current_origin().address
    count_login(email, address)
    yield
    forget_logins(email, address)


def _record_limited(name: str, window: Window, email: str) -> None:
    """Leave an event, once for as long as the window is; with and without a user alike."""
    told = Window(f"told/{window.key}", 1, window.seconds)
    if limit_stores.take([told]).full:
        return
    user = User.objects.filter(email=normalize_email(email)).values_list("pk", flat=True).first()
    record_event(
        None, "login.limited", by="anonymous", limit=name, user=str(user) if user else None
    )


# --- Other things that are done without being signed in -----------------------------------------


def count_code(user_id: UUID) -> None:
    """Count a try of a second factor, before it is looked at. Raises RateLimited."""
    _count("LIMIT_TWO_FACTOR_ACCOUNT", str(user_id))


def forget_codes(user_id: UUID) -> None:
    """Begin to count a user's codes anew, after a right one."""
    if settings.RATE_LIMITS:
        limit_stores.forget([_window("LIMIT_TWO_FACTOR_ACCOUNT", str(user_id))])


def count_from(name: str, address: str | None) -> None:
    """Count one of what a limit of an address is for. Raises RateLimited."""
    _count(name, network_of(address))


def may_write_to(email: str) -> bool:
    """Count a letter that somebody asked for; return whether it may be sent. Do not tell them."""
    if not settings.RATE_LIMITS:
        return True
    window = _window("LIMIT_FORGOT_ACCOUNT", normalize_email(email))
    return not limit_stores.take([window]).full


def _count(name: str, whom: str) -> None:
    if not settings.RATE_LIMITS:
        return
    taken = limit_stores.take([_window(name, whom)])
    if taken.full:
        raise RateLimited(TOO_MANY_ATTEMPTS, retry_after=_wait(taken))


def _wait(taken: Taken) -> int:
    """Return the whole seconds after which every full window has room."""
    return max(1, *(ceil(taken.standings[number].reset) for number in taken.full))


class AddressThrottle(BaseThrottle):
    """What a view's `address_limits` says of the action: the setting with its limit, by address."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return True, or raise RateLimited."""
        limits: dict[str, str] | None = getattr(view, "address_limits", None)
        if limits is not None and view.action in limits:
            count_from(limits[view.action], client_address(request._request))  # noqa: SLF001
        return True


# --- The API, by plan ---------------------------------------------------------------------------


class _PlanWindows(NamedTuple):
    """What a plan allows an organization in any minute, and in any second; by these names."""

    names: tuple[str, ...]
    windows: tuple[Window, ...]
    policy: str


@lru_cache(maxsize=PLANS_KEPT)
def _plan_windows(organization_id: UUID, minute: int | None, burst: int | None) -> _PlanWindows:
    """Return the windows, with the policy as draft-ietf-httpapi-ratelimit-headers writes it."""
    found = {}
    if minute is not None:
        found["minute"] = Window(f"plan/{organization_id}/m", minute, 60)
    if burst is not None:
        found["burst"] = Window(f"plan/{organization_id}/s", burst, 1)
    policy = ", ".join(f'"{name}";q={each.limit};w={each.seconds}' for name, each in found.items())
    return _PlanWindows(tuple(found), tuple(found.values()), policy)


def _left(plan: _PlanWindows, taken: Taken) -> str:
    return ", ".join(
        [
            f'"{name}";r={left};t={ceil(reset)}'
            for name, (left, reset) in zip(plan.names, taken.standings, strict=True)
        ]
    )


def _is_counted(principal: Principal, view: Any) -> bool:
    """Return whether the plan has something to say about what the view's action is."""
    action = getattr(view, "action", None)
    if action in getattr(view, "unlimited", ()) and isinstance(principal, Member):
        return False
    needed = getattr(view, "required", {}).get(action)
    return needed not in {PUBLIC, SIGNED_IN} or action in getattr(view, "counted", ())


class PlanThrottle(BaseThrottle):
    """Every request of an organization counts, whoever makes it; its plan says how many may be.

    Not what needs no permission of a role, because it is public or concerns oneself alone, unless
    a view declares it `counted`; nor what it declares `unlimited`, for people: a leaked key uses
    the plan up, and somebody has to take it away.
    """

    SAID: ClassVar[dict[str, str]] = {"minute": "in a minute", "burst": "in a second"}

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return True, or raise RateLimited; the answer says how many are left, either way."""
        principal = find_principal(request) if settings.RATE_LIMITS else None
        if principal is None or not _is_counted(principal, view):
            return True
        try:
            tenant = get_tenant(principal.organization_id)
        except OrganizationNotFound:
            return True  # purged: its routes say so
        plan = _plan_windows(tenant.id, tenant.requests_per_minute, tenant.burst)
        if plan.windows:
            self._take(request, plan)
        return True

    def _take(self, request: Request, plan: _PlanWindows) -> None:
        taken = limit_stores.take(plan.windows)
        inner: Any = request._request  # noqa: SLF001
        headers = {"RateLimit-Policy": plan.policy, "RateLimit": _left(plan, taken)}
        inner.answer_headers = {**getattr(inner, "answer_headers", {}), **headers}
        if taken.full:
            name = plan.names[taken.full[0]]
            limit = plan.windows[taken.full[0]].limit
            said = f"The plan allows {limit:,} requests {self.SAID[name]}."
            raise RateLimited(said, retry_after=_wait(taken))
