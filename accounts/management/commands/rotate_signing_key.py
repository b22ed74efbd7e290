"""Sign access tokens with a new key."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from accounts.key_files import activate, rotate, stage
from accounts.signing import key_file
from tenancy.exceptions import ValidationFailed
from tenancy.management.reporting import Report, ReportingCommand

WITHOUT_PAIR = (
    "Access tokens are signed with SECRET_KEY. To rotate that, give SECRET_KEY a new value and the "
    "old one to SECRET_KEY_FALLBACKS for a day, and restart. To sign with a key pair from now on: "
    "manage.py rotate_signing_key --file PATH"
)
WITHOUT_FILE = (
    "JWT_PRIVATE_KEY holds the key itself. Put it into a file, set JWT_PRIVATE_KEY to its path, "
    "and rotate again."
)
ACTS = {"rotate": rotate, "stage": stage, "activate": activate}


class Command(ReportingCommand):
    """Rotate the key pair of access tokens; tokens of the old key stay good while they live."""

    requires_system_checks = []  # one of them is about the file that this may be about to make
    help = "Sign access tokens with a new key pair; the old one verifies what it has signed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a file, and how much of the rotation to do."""
        parser.add_argument("--file", help="The file of keys; made if it is not there.")
        steps = parser.add_mutually_exclusive_group()
        steps.add_argument(
            "--stage", action="store_const", const="stage", dest="step",
            help="Only publish a new key, so that every machine and client can know it first.",
        )  # fmt: skip
        steps.add_argument(
            "--activate", action="store_const", const="activate", dest="step",
            help="Sign with the key that was staged.",
        )  # fmt: skip

    def act(self, *, file: str | None, step: str | None, **options: Any) -> Report:
        """Change the file, and say which key signs."""
        path = _path(file)
        rotation = ACTS[step or "rotate"](path)
        is_used = key_file() is not None and key_file() == path
        hint = "" if is_used else f" Set JWT_PRIVATE_KEY={path} and restart the service."
        data = {"file": str(path), "signing": rotation.signing, "others": list(rotation.others)}
        return Report(data, rotation.sentence + hint)


def _path(given: str | None) -> Path:
    if given:
        return Path(given).absolute()
    path = key_file()
    if path is None:
        raise ValidationFailed(WITHOUT_FILE if settings.JWT_PRIVATE_KEY else WITHOUT_PAIR)
    return path
