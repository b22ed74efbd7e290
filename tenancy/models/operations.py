"""The journal: what is being done to organizations."""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from tenancy.models.organizations import Organization


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
    organization may begin. `lease_owner` runs it until `lease_until`. `params` say what is wanted
    and do not change; `state` is what a runner has found and the next one needs.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.SET_NULL, null=True, related_name="operations"
    )
    kind = models.CharField(max_length=32)
    params = models.JSONField(default=dict)
    state = models.JSONField(default=dict, blank=True)
    step = models.CharField(max_length=32, blank=True)
    status = models.CharField(
        max_length=16, choices=OperationStatus.choices, default=OperationStatus.PENDING
    )
    blocking = models.BooleanField(default=True)
    undoing = models.BooleanField(default=False)
    cancel_requested = models.BooleanField(default=False)
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
