"""The ambient tenant and the origin of a request: set at the edge, restored in `finally`.

No database access: what is ambient is an id, or how to learn it when somebody asks.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from tenancy.exceptions import Misconfigured

T = TypeVar("T")
Resolver = Callable[[], UUID | None]
_current: ContextVar[Resolver | None] = ContextVar("tenant", default=None)


class Origin(NamedTuple):
    """Which request something is done for, and from where it came; empty outside of one."""

    request_id: str = ""
    address: str | None = None


_origin: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 -- a tuple


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


class _Ambient(Generic[T]):
    """A block in which a variable has a value. A class: every request goes through two of them."""

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *error: object) -> None:
        self._variable.reset(self._token)


def tenant_context(tenant: UUID | Resolver | None) -> AbstractContextManager[None]:
    """Make a tenant, one to be resolved when asked for, or none ambient for the block."""
    resolver = (lambda: tenant) if isinstance(tenant, UUID) else tenant
    return _Ambient(_current, resolver)


def current_origin() -> Origin:
    """Return the origin of the request that is being answered."""
    return _origin.get()


def origin_context(origin: Origin) -> AbstractContextManager[None]:
    """Make an origin ambient for the block."""
    return _Ambient(_origin, origin)
