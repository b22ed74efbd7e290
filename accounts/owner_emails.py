"""The address of an organization's owner, for the old route that shows it to its members.

Read from the catalog once in `ACCOUNTS_ROW_TTL`. Whatever has the rows of members read again, such
as another role or another address, has these read again, too.
"""

from uuid import UUID

from django.conf import settings

from accounts.models import Membership
from accounts.roles import Role
from tenancy import invalidation
from tenancy.caching import AgedCache

CACHE_MAX_OWNERS = 2_000


def _read(organization_id: UUID) -> str | None:
    invalidation.listen()
    owners = Membership.objects.filter(organization=organization_id, role=Role.OWNER)
    return owners.values_list("user__email", flat=True).first()


_emails: AgedCache[UUID, str] = AgedCache(_read, max_entries=CACHE_MAX_OWNERS, name="owner_emails")


def find_owner_email(organization_id: UUID) -> str | None:
    """Return the address of an owner of an organization, or None."""
    return _emails.find(organization_id, settings.ACCOUNTS_ROW_TTL)


def drop_owner_emails() -> None:
    """Have every address read again in this process."""
    _emails.clear()
