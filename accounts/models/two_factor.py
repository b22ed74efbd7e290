"""The second factor: an authenticator app, and codes for when it is lost."""

from django.conf import settings
from django.db import models
from django_otp.models import Device, ThrottlingMixin

from accounts.models.people import User
from accounts.models.sessions import DIGEST_CHARACTERS


class TotpDevice(ThrottlingMixin, Device):
    """A user's authenticator app (RFC 6238). The secret is encrypted; a step is used once."""

    secret_encrypted = models.TextField()
    last_step = models.BigIntegerField(default=-1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Device.Meta):
        verbose_name = "authenticator"
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=models.Q(confirmed=True),
                name="totp_device_once_for_user",
            )
        ]

    def get_throttle_factor(self) -> float:
        """Return the seconds of the first pause after a wrong code; each next one is twice that."""
        return float(settings.ACCOUNTS_CODE_THROTTLE)


class RecoveryCode(models.Model):
    """A code that works once in the place of the authenticator; only its digest is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=DIGEST_CHARACTERS)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="recovery_code_once_for_user")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.user_id}"
