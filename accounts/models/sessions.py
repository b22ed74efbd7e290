"""Sessions, and the refresh tokens that prolong them."""

import uuid

from django.db import models

from accounts.models.people import User
from tenancy.models import Organization

DIGEST_CHARACTERS = 64  # SHA-256 in hex


class Session(models.Model):
    """A sign-in on one device. An access token is worth what its session is.

    `methods` are those of RFC 8176 by which the user proved who they are: `pwd`, or `pwd otp`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="sessions"
    )
    methods = models.CharField(max_length=32, default="pwd")
    user_agent = models.CharField(max_length=200, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_for = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.user}, {self.created_at:%Y-%m-%d %H:%M}"


class RefreshToken(models.Model):
    """One link of a session's chain of refresh tokens; of the token itself only a digest.

    `salt` is set when the token is used. Token and salt together make the successor, so that
    whoever shows the token again gets the same one, and the rows alone make nothing.
    """

    digest = models.CharField(primary_key=True, max_length=DIGEST_CHARACTERS)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="refresh_tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    salt = models.CharField(max_length=DIGEST_CHARACTERS, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"refresh token of {self.session_id}"
