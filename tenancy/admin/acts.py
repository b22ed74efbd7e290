"""What an operator may do to an organization: a table of acts, each a call of the lifecycle."""

from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format

from tenancy import lifecycle
from tenancy.admin.act_forms import (
    Act,
    ActForm,
    ReasonForm,
    RenameForm,
    TypedSlugForm,
    is_living,
    name_rules,
    when,
)
from tenancy.admin.placing_acts import PLACING_ACTS
from tenancy.exceptions import TenancyError
from tenancy.models import Organization, OrganizationStatus
from tenancy.names import (
    Kind,
    Naming,
    clean_name,
    namespace_for,
    slug_of,
)


def _is_restorable(organization: Organization) -> bool:
    purge_after = organization.purge_after
    deleted = organization.status == OrganizationStatus.DELETING
    return deleted and purge_after is not None and purge_after > timezone.now()


def _namespace(organization: Organization, slug: str) -> str:
    naming = cast(Naming, settings.TENANCY_NAMING)
    kind = cast(Kind, organization.placement.kind)
    return namespace_for(organization.pk, slug, naming=naming, kind=kind)


def _explain_rename(organization: Organization, form: ActForm) -> list[str]:
    namespace = organization.placement.namespace
    follows = _namespace(organization, "a") != _namespace(organization, "b")
    rule = (
        "The namespace in MongoDB is org_ and the slug, with _ for -. When it changes, the "
        f"collections under {namespace} are renamed: requests wait for a moment, none is lost."
        if follows
        else f"The namespace in MongoDB, {namespace}, comes from the id and stays."
    )
    return [
        f"The slug of “{organization.name}” is “{organization.slug}” now.",
        *name_rules(),
        rule,
        *_preview(organization, form),
    ]


def _preview(organization: Organization, form: ActForm) -> list[str]:
    """Say what the name that was typed comes to; an impossible one is explained on its field."""
    if not form.is_bound or not form.is_valid():
        return []
    try:
        name = clean_name(form.cleaned_data["name"])
        slug = slug_of(name)
    except TenancyError:
        return []
    namespace = _namespace(organization, slug)
    return [f"“{name}” has the slug “{slug}” and the namespace {namespace}."]


def _rename(organization: Organization, given: dict[str, Any], by: str) -> str:
    renamed = lifecycle.rename_organization(organization.pk, given["name"], by=by)
    return f"The organization is now “{renamed.name}”; its slug is “{renamed.slug}”."


def _explain_suspend(organization: Organization, form: ActForm) -> list[str]:
    seconds = f"{settings.TENANCY_CATALOG_TTL:g} s"
    return [
        "Requests for its documents are refused, with the code organization_suspended.",
        f"Server processes notice it within {seconds}.",
        "Its data and its people stay as they are. Resume ends the suspension.",
    ]


def _suspend(organization: Organization, given: dict[str, Any], by: str) -> str:
    reason = given.get("reason", "")
    changed = lifecycle.suspend_organization(organization.pk, by=by, reason=reason)
    return f"“{organization}” is suspended{'' if changed else ' already'}."


def _explain_resume(organization: Organization, form: ActForm) -> list[str]:
    return ["Requests for its documents are answered again, as before the suspension."]


def _resume(organization: Organization, given: dict[str, Any], by: str) -> str:
    changed = lifecycle.resume_organization(organization.pk, by=by)
    return f"“{organization}” is active {'again' if changed else 'already'}."


def _explain_end(organization: Organization, form: ActForm) -> list[str]:
    return ["Nobody can use the organization from now on, and everybody in it is signed out."]


def _explain_delete(organization: Organization, form: ActForm) -> list[str]:
    until = date_format(timezone.now() + settings.TENANCY_DELETE_GRACE, "DATETIME_FORMAT")
    return [
        *_explain_end(organization, form),
        f"It can be restored until {until} UTC. After that its data is removed for good.",
    ]


def _delete(organization: Organization, given: dict[str, Any], by: str) -> str:
    lifecycle.delete_organization(organization.pk, by=by)
    return f"“{organization}” is deleted. Restore brings it back until the date of its purge."


def _explain_purge(organization: Organization, form: ActForm) -> list[str]:
    names = ", ".join(organization.collections.values_list("name", flat=True))
    days = settings.TENANCY_SLUG_RETIREMENT.days
    return [
        *_explain_end(organization, form),
        f"Its data in MongoDB is removed now: {names}, under {organization.placement.namespace}.",
        "This cannot be undone.",
        f"A row without a name and the audit stay; the slug is kept from others for {days} days.",
    ]


def _purge(organization: Organization, given: dict[str, Any], by: str) -> str:
    try:
        lifecycle.delete_organization(organization.pk, by=by, purge=True)
    except TenancyError as error:
        raise _half_done(organization, error) from error
    return (
        f"“{organization}” is deleted and its data removed. The background worker looks once "
        "more for late writes, then the name is erased."
    )


def _half_done(organization: Organization, error: TenancyError) -> TenancyError:
    """Say so where the organization is deleted and its data is still there."""
    if not Organization.objects.filter(pk=organization.pk, status="deleting").exists():
        return error
    detail = f"The organization is deleted, but its data is not removed yet: {error.detail}"
    return TenancyError(detail, hint="Look at the purge among its operations.")


def _explain_restore(organization: Organization, form: ActForm) -> list[str]:
    return [
        "The organization comes back with its data, its people and the status it had.",
        "Its people were signed out and sign in again.",
    ]


def _restore(organization: Organization, given: dict[str, Any], by: str) -> str:
    restored = lifecycle.restore_organization(organization.pk, by=by)
    return f"“{restored}” is restored; its status is {restored.status}."


ACTS: dict[str, Act] = {
    act.name: act
    for act in (
        Act("rename", "Rename", is_living, _explain_rename, _rename, RenameForm, has_preview=True),
        *PLACING_ACTS,
        Act(
            "suspend", "Suspend", when(OrganizationStatus.ACTIVE),
            _explain_suspend, _suspend, ReasonForm,
        ),
        Act("resume", "Resume", when(OrganizationStatus.SUSPENDED), _explain_resume, _resume),
        Act(
            "delete", "Delete", is_living, _explain_delete, _delete, TypedSlugForm,
            is_destructive=True,
        ),
        Act(
            "purge", "Delete and purge now", is_living, _explain_purge, _purge, TypedSlugForm,
            is_destructive=True,
        ),
        Act("restore", "Restore", _is_restorable, _explain_restore, _restore),
    )
}  # fmt: skip
