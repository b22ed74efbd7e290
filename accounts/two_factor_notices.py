"""What is told of a change of the second factor: an event in the audit, and a letter."""

from typing import Any

from accounts.mail import send_later
from accounts.models import User
from accounts.traces import record_for_user

ENABLED = "two_factor.enabled"
DISABLED = "two_factor.disabled"
CODES_RENEWED = "two_factor.codes_renewed"
RECOVERY_CODE_USED = "two_factor.recovery_code_used"
RESET = "two_factor.reset"
GUESSED = "two_factor.codes_guessed"

_IF_NOT_YOU = (
    "If that was not you, change your password now, end all your sessions and tell "
    "the administrator of your organization."
)
# A subject and a sentence for each.
LETTERS: dict[str, tuple[str, str]] = {
    ENABLED: (
        "Two factors are on",
        (
            "From now on a code of your authenticator is needed to sign in. Keep the recovery "
            "codes where you find them without your phone."
        ),
    ),
    DISABLED: ("Two factors are off", "From now on your password alone is enough to sign in."),
    CODES_RENEWED: (
        "New recovery codes",
        "New recovery codes were made. The former ones do not work any more.",
    ),
    RECOVERY_CODE_USED: (
        "A recovery code was used",
        (
            "One of your recovery codes was used in the place of your authenticator. "
            "It does not work again."
        ),
    ),
    RESET: (
        "Your second factor was reset",
        (
            "An operator removed your authenticator and your recovery codes and ended your "
            "sessions. Sign in with your password, and set up an authenticator again."
        ),
    ),
    GUESSED: (
        "Wrong codes at your sign-in",
        "Somebody who knows your password gave several wrong codes of your authenticator.",
    ),
}


def tell(user: User, what: str, *, by: str, **details: Any) -> None:
    """Write to the user, and record an event where it concerns anybody.

    Call it as the last part of the transaction of the change.
    """
    subject, sentence = LETTERS[what]
    text = f"{sentence}\n\n{_IF_NOT_YOU}\n"
    send_later(user.email, subject, text)
    record_for_user(user, what, by=by, **details)
