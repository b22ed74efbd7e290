"""What was done, kept for good."""

from django.db import models

from tenancy.models.organizations import Organization


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
