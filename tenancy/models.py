"""The catalog: which organizations exist, where their data lives, what is being done to them.

Fields, constraints and querysets; no rules. `lifecycle` is the only writer of status and placement.
"""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from tenancy.names import KINDS, NAME_MAX_CHARACTERS, SLUG_MAX_CHARACTERS

NAMESPACE_MAX_CHARACTERS = 63


class Cluster(models.Model):
    """One MongoDB deployment. `default` is the one of `MONGODB_URI`, or the embedded server."""

    DEFAULT = "default"

    alias = models.SlugField(max_length=48, unique=True)
    region = models.CharField(max_length=48, blank=True)
    accepts_new = models.BooleanField(default=True)
    note = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.alias


class Plan(models.Model):
    """What an organization may use."""

    DEFAULT = "standard"

    code = models.SlugField(max_length=48, unique=True)
    max_collections = models.PositiveIntegerField(default=100)
    max_document_bytes = models.PositiveIntegerField(default=1_048_576)

    def __str__(self) -> str:
        return self.code


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

    `pause_from` announces that from then on data requests wait. A purged organization stays as a
    tombstone: no name, no slug.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_MAX_CHARACTERS, blank=True)
    slug = models.CharField(max_length=SLUG_MAX_CHARACTERS, null=True, unique=True)
    status = models.CharField(
        max_length=16, choices=OrganizationStatus.choices, default=OrganizationStatus.PROVISIONING
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    pause_from = models.DateTimeField(null=True, blank=True)
    purge_after = models.DateTimeField(null=True, blank=True)
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


class Collection(models.Model):
    """A logical collection of an organization; `main` is always there."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="collections"
    )
    name = models.CharField(max_length=63)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="collection_once_in_organization"
            )
        ]

    def __str__(self) -> str:
        return self.name


class OperationStatus(models.TextChoices):
    """How far an operation is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (OperationStatus.PENDING, OperationStatus.RUNNING)


class OperationQuerySet(models.QuerySet["Operation"]):
    """Operations by what a runner may do with them."""

    def open(self) -> Self:
        """Return those that have not ended."""
        return self.filter(status__in=OPEN)

    def due(self, now: datetime) -> Self:
        """Return open ones that may run now, whoever holds their lease."""
        return self.open().filter(not_before__lte=now).order_by("not_before", "created_at")


class Operation(models.Model):
    """One journalled, resumable act.

    `step` is the last step whose end is recorded. While `blocking`, no other operation of the
    organization may begin. `lease_owner` runs it until `lease_until`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.SET_NULL, null=True, related_name="operations"
    )
    kind = models.CharField(max_length=32)
    params = models.JSONField(default=dict)
    step = models.CharField(max_length=32, blank=True)
    status = models.CharField(
        max_length=16, choices=OperationStatus.choices, default=OperationStatus.PENDING
    )
    blocking = models.BooleanField(default=True)
    undoing = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    lease_owner = models.CharField(max_length=128, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField()
    by = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=OperationStatus.values), name="operation_status_known"
            ),
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(blocking=True),
                name="operation_blocking_once_in_organization",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OPEN) | Q(blocking=False),
                name="operation_blocks_only_while_open",
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(status__in=OPEN), name="operation_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class AuditEvent(models.Model):
    """Who did what to an organization; written with what it records, never changed."""

    organization = models.ForeignKey(
        Organization, on_delete=models.SET_NULL, null=True, related_name="audit_events"
    )
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=128)
    action = models.CharField(max_length=64)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"
