"""Make people and organizations to try things out with."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from accounts.demonstration import (
    CASTS,
    DEMO_PASSWORD,
    OPERATOR_EMAIL,
    Made,
    make_operator,
    make_organization,
)
from tenancy.access import check_default_cluster
from tenancy.exceptions import ClusterUnavailable
from tenancy.management.reporting import Report, ReportingCommand
from tenancy.management.web_server import local_url

TOUR = """\
To try, line by line:
  API={url}/api/v1
  TOKEN=$(curl -s $API/auth/login -H 'Content-Type: application/json' \\
    -d '{{"email": "{email}", "password": "{password}"}}' \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -sw '\\n' "$API/collections/customers/documents?limit=2" -H "Authorization: Bearer $TOKEN"
  curl -sw '\\n' $API/collections/main/documents -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"_id": "hello", "text": "Hello"}}'
  curl -sw '\\n' -X PATCH $API/organization -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"name": "Acme International"}}'
  curl -sw '\\n' $API/collections/main/documents/hello -H "Authorization: Bearer $TOKEN\""""


class Command(ReportingCommand):
    """Two organizations with people and documents, and an operator."""

    help = (
        "Make an operator account and two organizations with a few thousand documents, for "
        "trying out; the service must be running. Repeating it adds nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to set the passwords anew."""
        parser.add_argument(
            "--reset-passwords",
            action="store_true",
            help="Give the operator a new password, and the others the demonstration's again.",
        )

    def act(self, *, reset_passwords: bool, as_json: bool, **options: Any) -> Report:
        """Make what is missing."""
        if settings.TENANTRY_PRODUCTION:
            raise CommandError(
                "The demonstration has a password that everybody knows: not in production."
            )
        _check_service()
        progress = (lambda text: None) if as_json else self.stdout.write
        try:
            password = make_operator(reset=reset_passwords)
            made = [
                make_organization(cast, reset=reset_passwords, progress=progress) for cast in CASTS
            ]
        except ModuleNotFoundError as error:
            raise CommandError(f"{error}. Run `make install` first.") from error
        return Report(_represent(password, made), _tell(password, made))


def _check_service() -> None:
    try:
        check_default_cluster()
    except ClusterUnavailable as error:
        raise ClusterUnavailable(
            "MongoDB cannot be reached: the service is not running.",
            hint="Start it with `make run` in another terminal, or set MONGODB_URI.",
        ) from error


def _represent(password: str | None, made: list[Made]) -> dict[str, Any]:
    return {
        "operator": {"email": OPERATOR_EMAIL, "password": password},
        "password": DEMO_PASSWORD,
        "organizations": [
            {"name": one.organization.name, "people": one.cast.people, "added": one.added}
            for one in made
        ],
    }


def _tell(password: str | None, made: list[Made]) -> str:
    url = local_url(settings.TENANTRY_HOST, settings.PORT)
    if password is None:
        shown = "with the password it had; --reset-passwords makes a new one"
    else:
        shown = f"password {password} (shown only now)"
    lines = [f"Operator of {url}/admin/: {OPERATOR_EMAIL}, {shown}."]
    for one in made:
        people = ", ".join(f"{email} ({role})" for email, role in one.cast.people.items())
        lines.append(f"{one.organization.name}: {people}; {one.added:,} documents added.")
    lines.append(f"Their password is {DEMO_PASSWORD}, for trying out and nothing else.")
    tour = TOUR.format(url=url, email=made[0].cast.owner, password=DEMO_PASSWORD)
    return "\n".join([*lines, "", tour])
