"""Take the second factor of somebody away who lost it."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.authenticators import reset_two_factor
from accounts.operators import get_user
from tenancy.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    """Remove an authenticator and its recovery codes."""

    help = (
        "Remove the authenticator and the recovery codes of a user who lost both, and end their "
        "sessions. They get a letter. Be certain who asks for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user."""
        parser.add_argument("email", help="The user's e-mail address.")

    def act(self, *, email: str, **options: Any) -> Report:
        """Reset it, if there is one."""
        user = get_user(email)
        was_reset = reset_two_factor(user, by=self.actor)
        text = (
            f"The second factor of {user.email} is gone, and every session ended."
            if was_reset
            else f"{user.email} has no second factor. Nothing was changed."
        )
        return Report({"email": user.email, "reset": was_reset}, text)
