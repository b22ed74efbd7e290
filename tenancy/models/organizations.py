"""Organizations, the names they have or had, and where their data lives."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from tenancy.models.clusters import REGION_MAX_CHARACTERS, Cluster, Plan
from tenancy.names import KINDS, NAME_MAX_CHARACTERS, SLUG_MAX_CHARACTERS

NAMESPACE_MAX_CHARACTERS = 63


class OrganizationStatus(models.TextChoices):
    """What an organization may do now."""

    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    PURGED = "purged"


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """Organizations by what may be done with them."""

    def existing(self) -> Self:
        """Return those that are not tombstones."""
        return self.exclude(status=OrganizationStatus.PURGED)


class Organization(models.Model):
    """The catalog row of an organization. `id` never changes; `name` and `slug` may.

    `pause_from` announces that from then on data requests wait, at the longest until `pause_until`
    where that is set: nobody has to wait for a runner that died. A purged organization stays as a
    tombstone: no name, no slug. One with a `region` is placed on clusters of that region only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_MAX_CHARACTERS, blank=True)
    slug = models.CharField(max_length=SLUG_MAX_CHARACTERS, null=True, unique=True)
    status = models.CharField(
        max_length=16, choices=OrganizationStatus.choices, default=OrganizationStatus.PROVISIONING
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    region = models.CharField(max_length=REGION_MAX_CHARACTERS, blank=True)
    pause_from = models.DateTimeField(null=True, blank=True)
    pause_until = models.DateTimeField(null=True, blank=True)
    purge_after = models.DateTimeField(null=True, blank=True)
    # Asked of every member before anything else is served; `accounts` is who asks.
    two_factor_required = models.BooleanField(default=False)
    # What the organization's clients keep about it: plain JSON, of no meaning here.
    settings = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=OrganizationStatus.values),
                name="organization_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status=OrganizationStatus.PURGED, slug__isnull=True, name="")
                | (
                    ~Q(status=OrganizationStatus.PURGED)
                    & Q(slug__isnull=False)
                    & ~Q(slug="")
                    & ~Q(name="")
                ),
                name="organization_named_unless_purged",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"(purged) {self.pk}"


class SlugReservation(models.Model):
    """Who has, or had, a slug: names are won here, by the primary key.

    A retired slug is not given to another organization until its retirement is over.
    """

    slug = models.CharField(primary_key=True, max_length=SLUG_MAX_CHARACTERS)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="slugs")
    reserved_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.slug


class Placement(models.Model):
    """Where an organization's data lives. `epoch` counts the places it has had."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, related_name="placement"
    )
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in KINDS])
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT)
    namespace = models.CharField(max_length=NAMESPACE_MAX_CHARACTERS)
    epoch = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="placement_kind_known"),
            models.UniqueConstraint(
                fields=["cluster", "namespace"], name="placement_namespace_once_in_cluster"
            ),
            models.CheckConstraint(
                condition=Q(namespace__startswith="org_"), name="placement_namespace_prefixed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace} on {self.cluster}"
