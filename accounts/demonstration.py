"""People and organizations to try things out with: what `manage.py demo` makes.

Everything has a fixed id or address, so that making it again adds nothing.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from accounts.demonstration_documents import Spelled, spell_documents
from accounts.memberships import add_member
from accounts.models import Membership, User
from accounts.passwords import hash_password
from accounts.roles import Role
from accounts.sessions import revoke_sessions
from tenancy.access import decode_document, with_collection
from tenancy.lifecycle import create_organization, declare_collection
from tenancy.models import Organization

ACTOR = "command:demo"
OPERATOR_EMAIL = "operator@example.com"
# Known to everybody who reads this: `manage.py demo` refuses to run in production.
DEMO_PASSWORD = "only-for-trying-out"  # noqa: S105
GENERATED_PASSWORD_BYTES = 12
BATCH_DOCUMENTS = 500

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Cast:
    """An organization to make: its people, and how many documents go into each collection."""

    name: str
    people: dict[str, Role]
    documents: dict[str, int]
    seed: int

    @property
    def owner(self) -> str:
        """The e-mail address of the owner, by whom the organization is found again."""
        return next(email for email, role in self.people.items() if role == Role.OWNER)


CASTS = (
    Cast(
        "Acme Corp",
        {
            "alice@example.com": Role.OWNER,
            "bob@example.com": Role.EDITOR,
            "vera@example.com": Role.VIEWER,
        },
        {"main": 300, "customers": 900, "orders": 1_800},
        seed=1,
    ),
    Cast(
        "Globex",
        {"charlie@example.com": Role.OWNER},
        {"main": 100, "customers": 300, "orders": 600},
        seed=2,
    ),
)


@dataclass(frozen=True)
class Made:
    """What became of one cast."""

    organization: Organization
    cast: Cast
    added: int


def make_operator(*, reset: bool) -> str | None:
    """Make sure of the operator. Return the password if it was just made, else None."""
    operator = User.objects.filter(email=OPERATOR_EMAIL).first()
    if operator is not None and not reset:
        return None
    password = secrets.token_urlsafe(GENERATED_PASSWORD_BYTES)
    if operator is None:
        operator = User(email=OPERATOR_EMAIL, name="Operator", is_staff=True, is_superuser=True)
    _set_password(operator, password)
    return password


def make_organization(cast: Cast, *, reset: bool, progress: Progress) -> Made:
    """Make sure of an organization, its people and its documents."""
    people = [_make_person(email, reset=reset) for email in cast.people]
    membership = Membership.objects.filter(user__email=cast.owner, role=Role.OWNER).first()
    if membership is not None:  # under whatever name it has by now
        organization = membership.organization
    else:
        organization = create_organization(cast.name, by=ACTOR)
    for person in people:
        add_member(person, organization, cast.people[person.email])
    added = 0
    for collection, count in cast.documents.items():
        progress(f"{organization.name}: {count:,} documents in {collection}")
        added += _add_documents(organization, collection, count, cast.seed)
    return Made(organization, cast, added)


def _make_person(email: str, *, reset: bool) -> User:
    user = User.objects.filter(email=email).first()
    if user is None:
        user = User(email=email, name=email.partition("@")[0].capitalize())
    elif not reset:
        return user
    _set_password(user, DEMO_PASSWORD)
    return user


def _set_password(user: User, password: str) -> None:
    user.password = hash_password(password)
    user.save()
    revoke_sessions(user=user)


def _add_documents(organization: Organization, collection: str, count: int, seed: int) -> int:
    """Store what is not there yet, and return how many documents that were."""
    declare_collection(organization.pk, collection, by=ACTOR)
    documents = spell_documents(collection, count, seed)
    return sum(_add_batch(organization, collection, batch) for batch in _batches(documents))


def _add_batch(organization: Organization, collection: str, batch: list[Spelled]) -> int:
    documents = [decode_document(spelled) for spelled in batch]
    return with_collection(
        organization.pk, collection, lambda handle: handle.insert_many(documents), by=ACTOR
    )


def _batches(documents: Iterator[Spelled]) -> Iterator[list[Spelled]]:
    while batch := list(islice(documents, BATCH_DOCUMENTS)):
        yield batch
