"""What operators type about clusters. A URI goes in, and is shown nowhere again."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget

from tenancy.exceptions import FieldError, OrganizationNotFound, ValidationFailed
from tenancy.lifecycle.clusters import ClusterTraits
from tenancy.management.reporting import find_organization
from tenancy.models import Cluster, Organization

URI_MAX_CHARACTERS = 8_192
NOTE_MAX_CHARACTERS = 2_000
CEILING_MAX = 10_000_000
URI_HELP = "mongodb:// or mongodb+srv://. It is kept encrypted, and never shown again."


class UriField(forms.CharField):
    """A URI with a password in it: hidden while it is typed, and not sent back."""

    def __init__(self, **options: Any) -> None:
        attrs = {"autocomplete": "new-password", "class": "vTextField", "spellcheck": "false"}
        widget = forms.PasswordInput(render_value=False, attrs=attrs)
        super().__init__(max_length=URI_MAX_CHARACTERS, widget=widget, label="URI", **options)


class TraitsForm(forms.Form):
    """What is said of a cluster besides where it is."""

    region = forms.CharField(
        required=False, widget=AdminTextInputWidget, help_text="Such as eu-central."
    )
    database = forms.CharField(
        required=False, widget=AdminTextInputWidget,
        help_text="Of shared and own collections. Empty: that of TENANCY_DATABASE.",
    )  # fmt: skip
    dedicated_to = forms.CharField(
        required=False, widget=AdminTextInputWidget,
        help_text="Slug or id of the organization whose own it is. Empty: nobody's.",
    )  # fmt: skip
    accepts_new = forms.BooleanField(
        required=False, initial=True, label="Accepts new",
        help_text="New organizations may be placed there.",
    )  # fmt: skip
    ceiling = forms.IntegerField(
        required=False, min_value=1, max_value=CEILING_MAX,
        help_text="Collections and indexes it may hold. Empty: TENANCY_CLUSTER_CEILING.",
    )  # fmt: skip
    note = forms.CharField(
        required=False,
        max_length=NOTE_MAX_CHARACTERS,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
    )
    force = forms.BooleanField(
        required=False, label="Use it though unfit",
        help_text="Also if the examination of the URI finds something wrong.",
    )  # fmt: skip


class NewClusterForm(TraitsForm):
    """A new cluster."""

    alias = forms.CharField(
        widget=AdminTextInputWidget, help_text="What it is called: a-z, 0-9, _ and -. It stays."
    )
    uri = UriField(help_text=URI_HELP)
    field_order = ["alias", "uri"]


class ClusterForm(TraitsForm):
    """A cluster that is known."""

    uri = UriField(
        required=False, help_text=f"Empty: the one it has. Otherwise the new one, {URI_HELP}"
    )


class RemovalForm(forms.Form):
    """The alias, typed by hand, so that nobody removes the wrong cluster."""

    alias = forms.CharField(widget=AdminTextInputWidget(attrs={"autocomplete": "off"}))

    def __init__(self, cluster: Cluster, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cluster = cluster
        self.fields["alias"].help_text = f"Type {cluster.alias} to confirm."

    def clean_alias(self) -> str:
        """Refuse any other alias than the cluster's."""
        alias: str = self.cleaned_data["alias"]
        if alias != self.cluster.alias:
            raise forms.ValidationError(f"The alias is “{self.cluster.alias}”.")
        return alias


def initial_of(row: Cluster) -> dict[str, Any]:
    """Return what the form of a cluster says at first: everything but the URI."""
    names = ("region", "database", "accepts_new", "ceiling", "note")
    owner = row.dedicated_to
    slug = (owner.slug or str(owner.pk)) if owner else ""
    return {name: getattr(row, name) for name in names} | {"dedicated_to": slug}


def traits_from(given: dict[str, Any]) -> ClusterTraits:
    """Return the traits that a valid form gives. Raises ValidationFailed at its field."""
    names = ("region", "database", "accepts_new", "ceiling", "note")
    owner = _find_owner(given["dedicated_to"])
    return ClusterTraits(**{name: given[name] for name in names}, dedicated_to=owner)


def _find_owner(text: str) -> Organization | None:
    try:
        return find_organization(text) if text else None
    except OrganizationNotFound as error:
        wrong = FieldError("/dedicated_to", "invalid", error.detail)
        raise ValidationFailed(error.detail, errors=[wrong]) from error
