"""The ambient tenant and the origin of a request: set at the edge, restored in `finally`.

No database access: what is ambient is an id, or how to learn it when somebody asks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from tenancy.exceptions import Misconfigured

Resolver = Callable[[], UUID | None]
_current: ContextVar[Resolver | None] = ContextVar("tenant", default=None)


@dataclass(frozen=True)
class Origin:
    """Which request something is done for, and from where it came; empty outside of one."""

    request_id: str = ""
    address: str | None = None


_origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 -- frozen


def find_current_tenant() -> UUID | None:
    """Return the id of the ambient tenant, or None outside of one."""
    resolve = _current.get()
    return resolve() if resolve is not None else None


def current_tenant() -> UUID:
    """Return the id of the ambient tenant. Raises Misconfigured outside of one: none means no."""
    organization_id = find_current_tenant()
    if organization_id is None:
        raise Misconfigured("No tenant is set here. Use tenant_context().")
    return organization_id


@contextmanager
def tenant_context(tenant: UUID | Resolver | None) -> Iterator[None]:
    """Make a tenant, one to be resolved when asked for, or none ambient for the block."""
    resolver = (lambda: tenant) if isinstance(tenant, UUID) else tenant
    token = _current.set(resolver)
    try:
        yield
    finally:
        _current.reset(token)


def current_origin() -> Origin:
    """Return the origin of the request that is being answered."""
    return _origin.get()


@contextmanager
def origin_context(origin: Origin) -> Iterator[None]:
    """Make an origin ambient for the block."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)
