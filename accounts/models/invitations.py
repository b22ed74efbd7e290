"""Invitations of people who are no members yet."""

import uuid

from django.db import models
from django.db.models import Q

from accounts.models.api_keys import ApiKey
from accounts.models.people import EMAIL_MAX_CHARACTERS, User
from accounts.models.sessions import DIGEST_CHARACTERS
from accounts.roles import Role
from tenancy.models import Organization


class Invitation(models.Model):
    """An offer of a role, sent to an address; of its token only a digest. It works once.

    Whoever sent it last answers for it: a user, or a program by its key.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="invitations"
    )
    email = models.EmailField(max_length=EMAIL_MAX_CHARACTERS)
    role = models.CharField(max_length=8, choices=Role.choices)
    digest = models.CharField(max_length=DIGEST_CHARACTERS, unique=True)
    invited_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="invitations_sent"
    )
    invited_by_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, related_name="invitations_sent"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField()
    sent_count = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="invitations_accepted"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once_for_address",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"
