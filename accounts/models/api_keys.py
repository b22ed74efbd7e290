"""The keys of programs."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q

from accounts.models.sessions import DIGEST_CHARACTERS
from accounts.roles import Role
from tenancy.models import Organization


class ApiKey(models.Model):
    """A key of an organization: what a program shows in the place of a token.

    It may what its role may, no more than its `scopes` name, and with a list of `collections` in
    these alone. After a rotation the secret before holds until `previous_until`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=8, choices=Role.choices)
    scopes = models.JSONField(default=list)
    collections = models.JSONField(null=True, blank=True)
    digest = models.CharField(max_length=DIGEST_CHARACTERS)
    previous_digest = models.CharField(max_length=DIGEST_CHARACTERS, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=128)
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=[Role.ADMIN, Role.EDITOR, Role.VIEWER]),
                name="api_key_is_no_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def status_at(self, moment: datetime) -> str:
        """Return `live`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        is_over = self.expires_at is not None and self.expires_at <= moment
        return "expired" if is_over else "live"
