"""Create an organization, with or without its owner."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandParser

from accounts.memberships import add_member
from accounts.models import User
from accounts.passwords import check_new_password, hash_password
from accounts.roles import Role
from accounts.signup import check_email, insert_user
from tenancy import lifecycle
from tenancy.exceptions import FieldError, ValidationFailed
from tenancy.management.reporting import Report, ReportingCommand, represent_organization
from tenancy.models import Organization
from tenancy.names import KINDS, clean_name, slug_of

PASSWORD_VARIABLE = "TENANTRY_OWNER_PASSWORD"  # noqa: S105 -- a name, not a password
GENERATED_PASSWORD_BYTES = 18


@dataclass(frozen=True)
class Owner:
    """Who will own the organization. `password` is one that was generated, to be shown once."""

    user: User
    is_new: bool
    password: str | None = None

    def join(self, organization: Organization) -> None:
        """Become the owner, in the transaction that wins the name."""
        if self.is_new:
            insert_user(self.user, pointer="/owner")
        add_member(self.user, organization, Role.OWNER)


class Command(ReportingCommand):
    """Create an organization and its place in MongoDB."""

    help = (
        "Create an organization. With --owner an existing user becomes its owner, or a new one is "
        f"made with the password in {PASSWORD_VARIABLE}, or a generated one that is printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name and the owner."""
        parser.add_argument("name", help="The name that people will read.")
        parser.add_argument("--owner", metavar="EMAIL", help="The e-mail address of its owner.")
        parser.add_argument("--region", default="", help="The region that its data may not leave.")
        parser.add_argument("--plan", metavar="CODE", help="Its plan; else the standard one.")
        parser.add_argument(
            "--kind", choices=KINDS, help="How its data is kept; else as its plan says."
        )

    def act(self, *, name: str, owner: str | None, **options: Any) -> Report:
        """Create it, and its owner in the same transaction."""
        slug_of(clean_name(name))
        person = _owner(owner) if owner is not None else None
        join: Callable[[Organization], None] | None = person.join if person else None
        row = lifecycle.create_organization(
            name, by=self.actor, on_reserve=join,
            region=options["region"], plan=options["plan"], kind=options["kind"],
        )  # fmt: skip
        text = (
            f"Created “{row.name}”: slug {row.slug}, namespace {row.placement.namespace}.\n"
            f"{_introduce(person)}"
        )
        return Report(represent_organization(row) | {"owner": _represent(person)}, text)


def _owner(text: str) -> Owner:
    email = check_email(text, pointer="/owner")
    user = User.objects.filter(email=email).first()
    if user is None:
        return _new_owner(email)
    if not user.is_active:
        message = f"The user {email} is not active and cannot own an organization."
        raise ValidationFailed(message, errors=[FieldError("/owner", "inactive", message)])
    return Owner(user, is_new=False)


def _new_owner(email: str) -> Owner:
    given = os.environ.get(PASSWORD_VARIABLE)
    password = given or secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
    check_new_password(password, email=email)
    user = User(email=email, password=hash_password(password))
    return Owner(user, is_new=True, password=None if given else password)


def _introduce(owner: Owner | None) -> str:
    if owner is None:
        return "It has no people yet: nobody can sign in to it."
    if not owner.is_new:
        return f"Its owner is {owner.user.email}, who had an account."
    if owner.password is None:
        return f"Its owner is {owner.user.email}, with the password from {PASSWORD_VARIABLE}."
    return f"Its owner is {owner.user.email}, with the password {owner.password} (shown only now)."


def _represent(owner: Owner | None) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {"email": owner.user.email, "is_new": owner.is_new, "password": owner.password}
