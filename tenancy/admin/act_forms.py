"""What an act of an operator on an organization is: a button, a form, a page, a call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextInputWidget

from tenancy.models import Organization, OrganizationStatus
from tenancy.names import SLUG_MAX_CHARACTERS

REASON_MAX_CHARACTERS = 200
# A sentence for the operator; with it the page of the operation that was begun, if one was.
Outcome = str | tuple[str, str]


class ActForm(forms.Form):
    """What an act asks for: nothing but a click, unless a form below says more."""

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization = organization


class NameForm(forms.Form):
    """A name; whether it can be used is the lifecycle's to say."""

    name = forms.CharField(strip=False, widget=AdminTextInputWidget)


class RenameForm(NameForm, ActForm):
    """The new name."""


class ReasonForm(ActForm):
    """Why."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_MAX_CHARACTERS,
        widget=AdminTextInputWidget,
        help_text="Optional. It is kept in the audit.",
    )


class TypedSlugForm(ActForm):
    """The slug, typed by hand, so that nobody deletes the wrong organization."""

    slug = forms.CharField(widget=AdminTextInputWidget(attrs={"autocomplete": "off"}))

    def __init__(self, organization: Organization, *args: Any, **kwargs: Any) -> None:
        super().__init__(organization, *args, **kwargs)
        self.fields["slug"].help_text = f"Type {organization.slug} to confirm."

    def clean_slug(self) -> str:
        """Refuse any other slug than the organization's."""
        slug: str = self.cleaned_data["slug"]
        if slug != self.organization.slug:
            raise forms.ValidationError(f"The slug is “{self.organization.slug}”.")
        return slug


@dataclass(frozen=True)
class Planned:
    """What an act is going to do, in figures. With something `against` it, it is not offered.

    `stamp` is what it depends on: a plan with another stamp is another plan, and is shown first.
    """

    facts: Sequence[tuple[str, Any]]
    stamp: str
    begin: Callable[[str], Outcome]
    notes: Sequence[str] = ()
    against: Sequence[str] = ()


def _refuse(organization: Organization, given: dict[str, Any], by: str) -> Outcome:
    raise NotImplementedError


@dataclass(frozen=True)
class Act:
    """A button of an organization: when it is there, what it says, asks for and does.

    With a `plan`, that is shown on a page of its own and confirmed there. `run` is for the others.
    """

    name: str
    label: str
    is_offered: Callable[[Organization], bool]
    explain: Callable[[Organization, ActForm], list[str]]
    run: Callable[[Organization, dict[str, Any], str], Outcome] = _refuse
    form: type[ActForm] = ActForm
    plan: Callable[[Organization, dict[str, Any]], Planned] | None = None
    is_destructive: bool = False
    has_preview: bool = False


def when(*statuses: OrganizationStatus) -> Callable[[Organization], bool]:
    """Return a test of whether an organization has one of the statuses."""
    return lambda organization: organization.status in statuses


is_living = when(OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)


def name_rules() -> list[str]:
    """Return what an operator should know about names."""
    days = settings.TENANCY_SLUG_RETIREMENT.days
    return [
        f"The slug is made from the name: at most {SLUG_MAX_CHARACTERS} of a-z, 0-9 and -.",
        f"No two organizations have one slug; others get a given-up one after {days} days only.",
    ]
