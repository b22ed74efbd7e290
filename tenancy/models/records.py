"""What was done, kept for good."""

import uuid
from typing import Any, NoReturn, Self

from django.db import models

from tenancy.exceptions import Defect
from tenancy.models.organizations import Organization

APPEND_ONLY = "Audit events are added and read, never changed or removed."


class AuditChain(models.Model):
    """The newest link of a chain of audit events: one chain for each organization.

    `key` is the organization's id, or `SERVICE` for what concerns none.
    """

    SERVICE = "service"

    key = models.CharField(primary_key=True, max_length=36)
    length = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.key}: {self.length}"


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Events to be read. What would change or remove any raises Defect."""

    def in_chain(self, key: str) -> Self:
        """Keep the events of one chain."""
        return self.filter(chain=key)

    def erase_addresses(self) -> int:
        """Forget from where the acts came: the one change there is. Return how many had one."""
        known = models.QuerySet.exclude(self, address=None)
        return models.QuerySet.update(known, address=None, address_salt="")

    def update(self, **_: Any) -> NoReturn:
        """Refuse."""
        raise Defect(APPEND_ONLY)

    def delete(self) -> NoReturn:
        """Refuse."""
        raise Defect(APPEND_ONLY)

    def bulk_update(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise Defect(APPEND_ONLY)

    def bulk_create(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: an event that is not chained to the one before it proves nothing."""
        raise Defect(APPEND_ONLY)

    update.alters_data = delete.alters_data = True  # type: ignore[attr-defined]


class AuditEvent(models.Model):
    """Who did what to an organization; written with what it records, never changed.

    `hash` covers the event and the hash of the one before it, so that a change shows. The address
    is covered by a salted digest: it can be erased with the organization, and the chain holds.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.SET_NULL, null=True, related_name="audit_events"
    )
    chain = models.CharField(max_length=36)
    sequence = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=128)
    action = models.CharField(max_length=64)
    details = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    address_salt = models.CharField(max_length=32, blank=True)
    address_digest = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "sequence"], name="audit_event_once_in_chain")
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a new event; one that was kept is not saved again. Raises Defect."""
        if not self._state.adding:
            raise Defect(APPEND_ONLY)
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise Defect(APPEND_ONLY)


class ErasureRecord(models.Model):
    """What a purge removed: the proof that an organization's data is gone. No personal data.

    `places` are the placements that were emptied: kind, cluster and namespace of each.
    `audit_addresses` is how many events of the audit no longer say from where they came.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.PROTECT, related_name="erasure_record"
    )
    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=128)
    collections = models.PositiveIntegerField(default=0)
    documents = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    members = models.PositiveIntegerField(default=0)
    audit_addresses = models.PositiveIntegerField(default=0)
    places = models.JSONField(default=list)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"erasure of {self.organization_id}"


class IdempotencyRecord(models.Model):
    """A request that may be sent more than once, and its answer once there is one.

    `resource` is the id of what the request makes: a repeat after a crash finds it by that.
    `answer_encrypted` may hold a secret that is shown once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    resource = models.UUIDField(default=uuid.uuid4)
    attempts = models.PositiveIntegerField(default=1)
    lease_until = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    answer_encrypted = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "key"], name="idempotency_key_once_in_scope")
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}"
