"""Set up an authenticator, renew its recovery codes, take it away."""

import base64
import io
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode
from uuid import UUID

import segno
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import recovery_codes, two_factor_notices
from accounts.exceptions import TokenRevoked
from accounts.models import Session, TotpDevice, User
from accounts.models.two_factor import CODE_DIGITS, STEP_SECONDS
from accounts.principals import forget_members
from accounts.sessions import end_admin_sessions, revoke_sessions
from accounts.two_factor import BOTH_METHODS, FIRST_METHODS, check_code, find_device, spend
from accounts.two_factor_notices import tell
from tenancy import encryption
from tenancy.exceptions import AlreadyExists, NotFound

SECRET_BYTES = 20  # RFC 4226, section 4, requirement 6
OFFER_LIFETIME = timedelta(minutes=15)
_ENABLED_ALREADY = "There is an authenticator already. Remove it first."
_NOT_ENABLED = "There is no authenticator. Set one up first."
NOT_OFFERED = "No authenticator waits for its first code, or it waited too long. Start again."


@dataclass(frozen=True)
class Offer:
    """An authenticator that counts once it has shown a code: what an app needs to know of it."""

    device: TotpDevice
    secret: str
    uri: str

    @property
    def expires_at(self) -> datetime:
        """Return when it lapses."""
        return self.device.created_at + OFFER_LIFETIME

    def to_svg(self) -> str:
        """Return the URI as a QR code: a whole SVG image, black on white."""
        image = io.BytesIO()
        options = {"scale": 4, "dark": "#000", "light": "#fff", "xmldecl": False, "nl": False}
        segno.make_qr(self.uri).save(image, kind="svg", **options)
        return image.getvalue().decode()

    def to_text(self) -> str:
        """Return the URI as a QR code in the characters of a terminal."""
        text = io.StringIO()
        segno.make_qr(self.uri).terminal(out=text, compact=True)
        return text.getvalue()


@dataclass(frozen=True)
class TwoFactorState:
    """What a user has of a second factor."""

    enabled: bool
    codes_left: int


def state_of(user_id: UUID) -> TwoFactorState:
    """Return whether a user has an authenticator, and how many unused recovery codes."""
    enabled = find_device(user_id) is not None
    return TwoFactorState(enabled, recovery_codes.codes_left(user_id) if enabled else 0)


def offer_authenticator(user: User) -> Offer:
    """Make an authenticator that waits for its first code; one that waited is forgotten.

    Raises AlreadyExists if the user has one that counts.
    """
    secret = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
    with transaction.atomic():
        _lock(user)
        if find_device(user.pk) is not None:
            raise AlreadyExists(_ENABLED_ALREADY)
        TotpDevice.objects.filter(user=user).delete()
        device = TotpDevice.objects.create(
            user=user, name="authenticator", confirmed=False,
            secret_encrypted=encryption.encrypt(secret),
        )  # fmt: skip
    return make_offer(device)


def make_offer(device: TotpDevice) -> Offer:
    """Return what an app needs to know of an authenticator."""
    issuer, secret = settings.ACCOUNTS_TWO_FACTOR_ISSUER, device.secret
    label = f"{quote(issuer, safe='')}:{quote(device.user.email, safe='')}"
    query = {
        "secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": CODE_DIGITS,
        "period": STEP_SECONDS,
    }  # fmt: skip
    uri = f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
    return Offer(device, secret, uri)


def get_offered(user: User) -> TotpDevice:
    """Return the authenticator that waits for its first code, or raise NotFound."""
    oldest = timezone.now() - OFFER_LIFETIME
    waiting = TotpDevice.objects.filter(user=user, confirmed=False, created_at__gt=oldest)
    device: TotpDevice | None = waiting.order_by("-pk").first()
    if device is None:
        raise NotFound(NOT_OFFERED)
    return device


def confirm_authenticator(user: User, code: str, *, session_id: UUID | None = None) -> list[str]:
    """Make the offered authenticator count, by its first code; return the recovery codes.

    The session named is one of two factors from now on; the user's others end. Raises NotFound,
    AlreadyExists, TwoFactorInvalid or TokenRevoked.
    """
    if find_device(user.pk) is not None:
        raise AlreadyExists(_ENABLED_ALREADY)
    device = get_offered(user)
    check_code(device, code)
    return enable(device, session_id=session_id, by=f"user:{user.pk}")


def enable(device: TotpDevice, *, session_id: UUID | None = None, by: str) -> list[str]:
    """Make an authenticator count; return the recovery codes, to be shown once."""
    user = device.user
    with transaction.atomic():
        _lock(user)
        _confirm(device)
        kept = _strengthen(user, session_id) if session_id is not None else None
        revoke_sessions(user=user, but=kept, reason="two_factor_enabled")
        codes = recovery_codes.replace_codes(user.pk)
        tell(user, two_factor_notices.ENABLED, by=by)
    return codes


def remove_authenticator(user: User, given: str) -> None:
    """Take the second factor away, by a code or a recovery code.

    Every session of the user is one of a single factor from now on. Raises NotFound or
    TwoFactorInvalid.
    """
    if find_device(user.pk) is None:
        raise NotFound(_NOT_ENABLED)
    device = spend(user, given)
    with transaction.atomic():
        _lock(user)
        if not TotpDevice.objects.filter(pk=device.pk).delete()[0]:
            raise NotFound(_NOT_ENABLED)
        recovery_codes.remove_codes(user.pk)
        Session.objects.filter(user=user, revoked_at=None).update(methods=FIRST_METHODS)
        forget_members(user_id=user.pk)
        tell(user, two_factor_notices.DISABLED, by=f"user:{user.pk}")


def renew_codes(user: User, code: str) -> list[str]:
    """Return new recovery codes for a code of the authenticator; the old ones are dead.

    Raises NotFound or TwoFactorInvalid.
    """
    device = find_device(user.pk)
    if device is None:
        raise NotFound(_NOT_ENABLED)
    check_code(device, code)
    with transaction.atomic():
        _lock(user)
        if find_device(user.pk) is None:
            raise NotFound(_NOT_ENABLED)
        codes = recovery_codes.replace_codes(user.pk)
        tell(user, two_factor_notices.CODES_RENEWED, by=f"user:{user.pk}")
    return codes


def reset_two_factor(user: User, *, by: str) -> bool:
    """Take the second factor of somebody else away and sign them out. Return False without one."""
    with transaction.atomic():
        _lock(user)
        if find_device(user.pk) is None:
            return False
        TotpDevice.objects.filter(user=user).delete()
        recovery_codes.remove_codes(user.pk)
        revoke_sessions(user=user, reason="two_factor_reset")
        end_admin_sessions(pk=user.pk)
        tell(user, two_factor_notices.RESET, by=by)
    return True


def _lock(user: User) -> None:
    """Hold the user's row: a sign-in that is about to end looks at the second factor under it."""
    User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()


def _confirm(device: TotpDevice) -> None:
    waiting = TotpDevice.objects.filter(pk=device.pk, confirmed=False)
    try:
        with transaction.atomic():
            confirmed = waiting.update(confirmed=True)
    except IntegrityError as error:
        raise AlreadyExists(_ENABLED_ALREADY) from error
    if not confirmed:
        raise NotFound(NOT_OFFERED)


def _strengthen(user: User, session_id: UUID) -> Session:
    """Make a session one of two factors. Raises TokenRevoked if it ended meanwhile."""
    own = Session.objects.filter(pk=session_id, user=user, revoked_at=None)
    if not own.update(methods=BOTH_METHODS):
        raise TokenRevoked
    return own.get()
