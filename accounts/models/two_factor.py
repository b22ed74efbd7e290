"""The second factor: an authenticator app, and codes for when it is lost."""

import base64
import re
import time
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import hotp

from accounts.models.people import User
from accounts.models.sessions import DIGEST_CHARACTERS
from tenancy import encryption

# What every authenticator app can do (RFC 6238): SHA-1, six digits, thirty seconds.
STEP_SECONDS = 30
CODE_DIGITS = 6
TOLERANCE_STEPS = 1  # clocks differ, and people type slowly
# The pause after a wrong code is doubled so often: of 1 s it becomes 34 min, and never more.
FAILURES_MAX = 12
_CODE = re.compile(rf"[0-9]{{{CODE_DIGITS}}}")
_NO_FAILURES: dict[str, Any] = {
    "throttling_failure_count": 0,
    "throttling_failure_timestamp": None,
}


def is_code(text: str) -> bool:
    """Return whether a text looks like the code of an authenticator, in groups or not."""
    return _CODE.fullmatch("".join(text.split())) is not None


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

    @property
    def secret(self) -> str:
        """Return the secret in base32. Raises Undecryptable."""
        return encryption.decrypt_uncached(self.secret_encrypted)

    def get_throttle_factor(self) -> float:
        """Return the seconds of the first pause after a wrong code; each next one is twice that."""
        return float(settings.ACCOUNTS_CODE_THROTTLE)

    def seconds_to_wait(self) -> float:
        """Return for how long no code is looked at after a wrong one; 0 if one may come now."""
        _, reason = self.verify_is_allowed()  # type: ignore[no-untyped-call]
        until = (reason or {}).get("locked_until")
        return max(0.0, (until - timezone.now()).total_seconds()) if until else 0.0

    def verify_token(self, token: str) -> bool:
        """Use up a code: return whether it is right, new, and none too soon after a wrong one.

        Call it outside of a transaction: a failure must stay counted.
        """
        if not is_code(token) or not self._claim_attempt():
            return False
        step = self._find_step("".join(token.split()))
        if step is None:
            return False
        unused = TotpDevice.objects.filter(pk=self.pk, last_step__lt=step)
        return bool(unused.update(last_step=step, **_NO_FAILURES))

    def _claim_attempt(self) -> bool:
        """Count a failure before it is one: of many guesses at once only one is looked at."""
        allowed, _ = self.verify_is_allowed()  # type: ignore[no-untyped-call]
        unclaimed = TotpDevice.objects.filter(
            pk=self.pk,
            throttling_failure_count=self.throttling_failure_count,
            throttling_failure_timestamp=self.throttling_failure_timestamp,
        )
        count, now = min(self.throttling_failure_count + 1, FAILURES_MAX), timezone.now()
        if not allowed or not unclaimed.update(
            throttling_failure_count=count, throttling_failure_timestamp=now
        ):
            return False
        self.throttling_failure_count, self.throttling_failure_timestamp = count, now
        return True

    def _find_step(self, code: str) -> int | None:
        """Return the step that a code is of, if it is of one about now that was not used."""
        key, now = base64.b32decode(self.secret), int(time.time()) // STEP_SECONDS
        for step in range(now - TOLERANCE_STEPS, now + TOLERANCE_STEPS + 1):
            number: int = hotp(key, step, digits=CODE_DIGITS)  # type: ignore[no-untyped-call]
            right = f"{number:0{CODE_DIGITS}}"
            if step > self.last_step and compare_digest(right, code):
                return step
        return None


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
