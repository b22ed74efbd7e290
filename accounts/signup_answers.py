"""Answers to sign-ups that are kept to be given again: they hold the tokens of a session."""

from uuid import UUID

from accounts.models import User, normalize_email
from tenancy.idempotency import forget_answers, keyed_digest


def scope_of_signup(email: str) -> str:
    """Return whose the keys of a sign-up are: a digest of the address."""
    return f"signup:{keyed_digest(normalize_email(email))}"


def forget_signup_answers(user_id: UUID) -> None:
    """Give nobody the tokens of a user's sign-up again.

    Whoever has the password of then, and the key, would get a session that has outlived the
    password, or is one of two factors by now.
    """
    email = User.objects.filter(pk=user_id).values_list("email", flat=True).first()
    if email is not None:
        forget_answers(scope_of_signup(email))
