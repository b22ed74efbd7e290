"""End sessions, from the command line."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from accounts.models import Session, User, normalize_email
from accounts.sessions import end_admin_sessions, revoke_with_trace
from tenancy.exceptions import NotFound
from tenancy.management.reporting import Report, ReportingCommand, find_organization


class Command(ReportingCommand):
    """End the sessions of a user, of an organization, or all there are."""

    help = "Sign people out: a user, everybody in an organization, or everybody."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose sessions."""
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", metavar="EMAIL", help="Those of one user.")
        whose.add_argument("--organization", metavar="SLUG", help="Those in one organization.")
        whose.add_argument("--all", action="store_true", help="Every session there is.")

    def act(self, *, user: str | None, organization: str | None, **options: Any) -> Report:
        """End them, and say how many those were."""
        which: dict[str, Any] = {}
        if user is not None:
            which["user"] = _find_user(user)
        elif organization is not None:
            which["organization"] = find_organization(organization)
        with transaction.atomic():
            if organization is None:
                end_admin_sessions(**({"pk": which["user"].pk} if which else {}))
            ended = revoke_with_trace(Session.objects.filter(**which), by=self.actor)
        noun = "session" if ended == 1 else "sessions"
        text = f"{ended:,} {noun} ended; every server process refuses their tokens within seconds."
        return Report({"revoked": ended}, text)


def _find_user(email: str) -> User:
    found = User.objects.filter(email=normalize_email(email)).first()
    if found is None:
        raise NotFound(f"There is no user “{email}”.")
    return found
