"""Fill the catalog and MongoDB of a deployment with organizations, as signing up would.

    TENANTRY_HOME=... MONGODB_URI=... python -m benchmarks.tenant_population KIND COUNT TOKENS

Writes a JSON file with an access token for each organization, and what the population cost. Each
organization is created by the product itself, has an owner and a document `d`.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

DOCUMENT = {"_id": "d", "name": "A document", "n": 1, "tags": ["a", "b"]}
SLICES = 10


def populate(kind: str, count: int) -> dict[str, Any]:
    """Create the organizations. Return their tokens, and milliseconds for each, slice by slice."""
    tokens, milliseconds = list[str](), list[float]()
    for part in range(SLICES):
        began = time.perf_counter()
        names = range(part * count // SLICES, (part + 1) * count // SLICES)
        made = [_create(f"Organization {number}", kind) for number in names]
        milliseconds.append(1000 * (time.perf_counter() - began) / max(len(made), 1))
        tokens += [_token(organization) for organization in made]
    return {"tokens": tokens, "create_ms": [round(each, 2) for each in milliseconds]}


def _create(name: str, kind: Any) -> Any:
    from accounts.models import Membership, User
    from accounts.roles import Role
    from tenancy import lifecycle

    def add_owner(organization: Any) -> None:
        user = User.objects.create(email=f"{organization.slug}@example.com", password="!")
        Membership.objects.create(user=user, organization=organization, role=Role.OWNER)

    return lifecycle.create_organization(name, by="command:bench", kind=kind, on_reserve=add_owner)


def _token(organization: Any) -> str:
    from accounts.login import sign_in
    from accounts.models import Membership
    from accounts.sessions import Device
    from tenancy.access import with_collection

    with_collection(organization.pk, "main", lambda each: each.insert(DOCUMENT), by="command:bench")
    membership = Membership.objects.select_related("user").get(organization=organization)
    return str(sign_in(membership.user, membership, Device()).access_token)


def main() -> None:
    """Populate, and write what came of it."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    kind, count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    path.write_text(json.dumps(populate(kind, count)))


if __name__ == "__main__":
    main()
