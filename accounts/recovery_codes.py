"""Recovery codes: each works once in the place of an authenticator; kept as digests."""

import hashlib
import re
import secrets
from uuid import UUID

from django.utils import timezone

from accounts.models import RecoveryCode

CODES = 10
# Crockford's base 32: no letter that is taken for another. 16 of these are 80 random bits, which
# nobody guesses, so that a wrong code costs no pause and none can be locked out of these.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 16
GROUP_CHARACTERS = 4
_MISREAD = str.maketrans("OIL", "011")
_CODE = re.compile(rf"[{ALPHABET}]{{{CODE_CHARACTERS}}}")


def replace_codes(user_id: UUID) -> list[str]:
    """Make new codes, which end the old ones; return them, to be shown once.

    Call in a transaction.
    """
    RecoveryCode.objects.filter(user=user_id).delete()
    codes = [_make_code() for _ in range(CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user_id=user_id, digest=_digest_of(code)) for code in codes
    )
    return codes


def use_code(user_id: UUID, given: str) -> bool:
    """Use a code up, however it is grouped and spelled. Return whether it was an unused one."""
    digest = _digest_of(given)
    unused = RecoveryCode.objects.filter(user=user_id, digest=digest, used_at=None)
    return bool(digest and unused.update(used_at=timezone.now()))


def codes_left(user_id: UUID) -> int:
    """Return how many codes were not used."""
    return RecoveryCode.objects.filter(user=user_id, used_at=None).count()


def remove_codes(user_id: UUID) -> None:
    """End every code of a user."""
    RecoveryCode.objects.filter(user=user_id).delete()


def _make_code() -> str:
    text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    groups = range(0, CODE_CHARACTERS, GROUP_CHARACTERS)
    return "-".join(text[start : start + GROUP_CHARACTERS] for start in groups)


def _digest_of(given: str) -> str:
    """Return what is kept of a code; nothing of what cannot be one."""
    text = "".join(given.upper().replace("-", " ").split()).translate(_MISREAD)
    return hashlib.sha256(text.encode()).hexdigest() if _CODE.fullmatch(text) else ""
