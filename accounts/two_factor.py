"""The second factor at the sign-in: whether one is needed, and whether it is proved."""

import math
from uuid import UUID

from django.db import transaction

from accounts import recovery_codes, two_factor_notices
from accounts.exceptions import InvalidCredentials, TwoFactorInvalid, TwoFactorRequired
from accounts.models import TotpDevice, User
from accounts.models.two_factor import is_code
from accounts.principals import SECOND_FACTOR
from accounts.throttles import count_code, forget_codes
from accounts.two_factor_tokens import make_token

FIRST_METHODS = "pwd"
BOTH_METHODS = f"{FIRST_METHODS} {SECOND_FACTOR}"
# After so many wrong codes in a row the user gets a letter: somebody has the password.
FAILURES_BEFORE_LETTER = 5


def find_device(user_id: UUID) -> TotpDevice | None:
    """Return the authenticator that a user has confirmed, or None."""
    return TotpDevice.objects.filter(user=user_id, confirmed=True).first()


def prove(user: User, code: str | None, *, organization: str | None = None) -> str:
    """Return the methods by which a user with the right password has proved who they are.

    `code` is one of the authenticator or a recovery code. Raises TwoFactorRequired where one is
    needed and none is given, or TwoFactorInvalid. Call it outside of a transaction.
    """
    if find_device(user.pk) is None:
        return FIRST_METHODS
    if code is None:
        raise TwoFactorRequired(extra={"two_factor_token": make_token(user, organization)})
    spend(user, code)
    return BOTH_METHODS


def spend(user: User, given: str) -> TotpDevice:
    """Use up a code of the authenticator or a recovery code; return the authenticator.

    Raises TwoFactorInvalid or RateLimited. Call it outside of a transaction: a failure must stay
    counted.
    """
    device = find_device(user.pk)
    if device is None:
        raise TwoFactorInvalid
    if is_code(given):
        count_code(user.pk)
        check_code(device, given)
        forget_codes(user.pk)
    else:  # nobody guesses 80 bits: there is a way in, whoever tries codes meanwhile
        _use_recovery_code(user, given)
    return device


def check_code(device: TotpDevice, code: str) -> None:
    """Use up a code of an authenticator.

    Raises TwoFactorInvalid, with the seconds to wait before another is looked at.
    """
    failures = device.throttling_failure_count
    if device.verify_token(code):
        return
    if failures < FAILURES_BEFORE_LETTER == device.throttling_failure_count:
        _warn(device)
    wait = math.ceil(device.seconds_to_wait())
    if not wait:
        raise TwoFactorInvalid
    detail = f"The code is not valid, or comes too soon: wait {wait} s before the next one."
    raise TwoFactorInvalid(detail, extra={"retry_after": wait})


def check_still_proved(user: User, methods: str) -> None:
    """Raise if the second factor came or went since it was asked for.

    Call it with the user's row locked, as whoever changes the factor has it.
    """
    if (find_device(user.pk) is not None) != (SECOND_FACTOR in methods.split()):
        raise InvalidCredentials


def _use_recovery_code(user: User, given: str) -> None:
    with transaction.atomic():
        if not recovery_codes.use_code(user.pk, given):
            raise TwoFactorInvalid
        two_factor_notices.tell(
            user, two_factor_notices.RECOVERY_CODE_USED, by=f"user:{user.pk}",
            codes_left=recovery_codes.codes_left(user.pk),
        )  # fmt: skip


def _warn(device: TotpDevice) -> None:
    with transaction.atomic():
        two_factor_notices.tell(device.user, two_factor_notices.GUESSED, by="anonymous")
