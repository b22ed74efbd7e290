"""What was done, kept for good."""

import uuid

from django.db import models

from tenancy.models.organizations import Organization


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

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["chain", "sequence"], name="audit_event_once_in_chain")
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"


class ErasureRecord(models.Model):
    """What a purge removed: the proof that an organization's data is gone. No personal data.

    `places` are the placements that were emptied: kind, cluster and namespace of each.
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
