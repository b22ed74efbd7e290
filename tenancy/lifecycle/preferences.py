"""What an organization decides about itself: its clients' settings, and two factors for everybody.

Settings are merged, RFC 7396: null removes, objects merge, all else replaces. So two clients that
change different settings at once do not take each other's back.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tenancy import catalog, invalidation
from tenancy.audit import EXACT_FLOAT_MAX, record_event
from tenancy.caching import AgedCache
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.lifecycle.renaming import rename_organization
from tenancy.lifecycle.signals import organization_policy_changed
from tenancy.lifecycle.states import lock_organization
from tenancy.models import Organization, OrganizationStatus
from tenancy.mongo.merge_patch import apply_merge_patch

SETTINGS_MAX_BYTES = 16_384
SETTINGS_MAX_DEPTH = 32
CACHE_MAX_SETTINGS = 2_000
# Numbers are kept within this: PostgreSQL writes greater ones out, and no answer could hold them.
NUMBER_LIMIT = 2**63


@dataclass(frozen=True)
class Preferences:
    """What to change; None: as before. `settings` is a merge patch."""

    settings: dict[str, Any] | None = None
    two_factor_required: bool | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return self.settings is None and self.two_factor_required is None


def change_organization(
    organization_id: UUID, preferences: Preferences, *, by: str, name: str | None = None
) -> None:
    """Rename an organization, change its preferences, or both.

    Raises ValidationFailed for settings that are too many, or what `rename_organization` does;
    then nothing has changed. One exception: a rename that fails later than its name was won is
    undone alone.
    """
    if preferences.settings is not None:
        _check_settings(preferences.settings)
        preferences = replace(preferences, settings=_as_kept(preferences.settings))

    def change(organization: Organization) -> None:
        _apply(organization, preferences, by=by)

    if name is not None:
        rename_organization(organization_id, name, by=by, on_reserve=change)
    else:
        with transaction.atomic():
            change(lock_organization(organization_id, OrganizationStatus.ACTIVE))
    catalog.forget_tenant(organization_id)
    forget_settings(organization_id)


def _read_settings(organization_id: UUID) -> dict[str, Any]:
    invalidation.listen()
    rows = Organization.objects.filter(pk=organization_id)
    return dict(_readable(rows.values_list("settings", flat=True).first() or {}))


# Apart from the tenants: most requests do not ask, and they may be large.
_settings: AgedCache[UUID, dict[str, Any]] = AgedCache(
    _read_settings, max_entries=CACHE_MAX_SETTINGS, name="settings"
)


def settings_of(organization_id: UUID) -> dict[str, Any]:
    """Return an organization's settings, at most `TENANCY_CATALOG_TTL` old; not to be changed."""
    return _settings.find(organization_id, settings.TENANCY_CATALOG_TTL) or {}


def forget_settings(organization_id: UUID | None = None) -> None:
    """Have settings read again, one organization's or all: here now, with Redis soon everywhere."""
    which = {} if organization_id is None else {"organization_id": organization_id}
    _changed.make_known(**which)


_changed = invalidation.Change("settings", _settings.drop, ids={"organization_id"})


def _apply(organization: Organization, preferences: Preferences, *, by: str) -> None:
    """Change the locked row, tell who listens, and record what has changed."""
    wanted: dict[str, Any] = {}
    merged = apply_merge_patch(organization.settings, preferences.settings or {})
    if merged != organization.settings:
        _check_size(merged)
        wanted["settings"] = merged
    asked = preferences.two_factor_required
    if asked not in {None, organization.two_factor_required}:
        wanted["two_factor_required"] = asked
    if not wanted:
        return
    rows = Organization.objects.filter(pk=organization.pk)
    rows.update(**wanted, updated_at=timezone.now())
    details: dict[str, Any] = {}
    if "settings" in wanted:
        details["settings"] = len(preferences.settings or {})  # of their names none is told
    if "two_factor_required" in wanted:
        details["two_factor_required"] = asked
        organization_policy_changed.send(Organization, organization=organization)
    record_event(organization, "organization.changed", by=by, **details)


def _check_settings(settings: dict[str, Any]) -> None:
    """Raise ValidationFailed, with a pointer, for what the catalog does not store."""
    for value, pointer, depth in _walk(settings, "/settings", 1):
        if depth > SETTINGS_MAX_DEPTH:
            raise _refused(pointer, f"Settings are nested at most {SETTINGS_MAX_DEPTH} deep.")
        if isinstance(value, str) and "\x00" in value:
            raise _refused(pointer, "Text with a NUL character cannot be stored.")
        if _is_number(value) and not -NUMBER_LIMIT <= value < NUMBER_LIMIT:
            raise _refused(pointer, "Numbers are kept from -2^63 to 2^63 - 1. Write it as text.")
    _check_size(settings)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_kept(value: Any) -> Any:
    """Return a value as every catalog gives it back: great floats whole, and no negative zero."""
    if isinstance(value, float):
        return int(value) if abs(value) >= EXACT_FLOAT_MAX else value + 0.0
    return _mapped(value, _as_kept)


def _readable(value: Any) -> Any:
    """Return a value that was kept before numbers were checked as one that can be answered."""
    if isinstance(value, int) and not -NUMBER_LIMIT <= value < NUMBER_LIMIT:
        return float(value)
    return _mapped(value, _readable)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: change(inner) for name, inner in value.items()}
    return [change(inner) for inner in value] if isinstance(value, list) else value


def _walk(value: Any, pointer: str, depth: int) -> Iterator[tuple[Any, str, int]]:
    yield value, pointer, depth
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, inner in items:
        escaped = str(name).replace("~", "~0").replace("/", "~1")
        yield from _walk(inner, f"{pointer}/{escaped}", depth + 1)


def _check_size(settings: Any) -> None:
    size = len(json.dumps(settings, ensure_ascii=False, separators=(",", ":")).encode())
    if size > SETTINGS_MAX_BYTES:
        message = f"Settings are at most {SETTINGS_MAX_BYTES:,} bytes of JSON; these are {size:,}."
        raise _refused("/settings", message)


def _refused(pointer: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(pointer, "invalid", message)])
