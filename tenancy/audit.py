"""The audit: who did what to an organization, written with what it records.

Each event carries a hash over itself and the hash before it, in one chain for each organization:
`tenancy.audit_chain` finds what was changed, removed or put in later.
"""

import hashlib
import json
import secrets
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tenancy.context import current_origin
from tenancy.models import AuditChain, AuditEvent, Organization

SALT_BYTES = 16
# From here on Python writes a float with an exponent, and every float is whole.
EXACT_FLOAT_MAX = 1e16
NUL, REPLACEMENT = "\\u0000", "\\ufffd"  # as JSON spells them


def record_event(
    organization: Organization | None, action: str, *, by: str, **details: Any
) -> None:
    """Add an event. Call it in the transaction of the change that it records, as its last part.

    `by` is an actor: `user:<id>`, `key:<id>` or `command:<name>`. Without an organization the
    event is one of the service. The chain is locked until the transaction ends: whoever takes
    other locks after this one risks a deadlock.
    """
    origin = current_origin()
    address = _as_kept(origin.address)
    salt = secrets.token_hex(SALT_BYTES) if address else ""
    event = AuditEvent(
        organization=organization,
        chain=str(organization.pk) if organization else AuditChain.SERVICE,
        at=timezone.now(),
        actor=by,
        action=action,
        details=_plain(details),
        request_id=origin.request_id,
        address=address,
        address_salt=salt,
        address_digest=digest_of_address(address, salt),
    )
    with transaction.atomic():
        _append(event)


def _as_kept(address: str | None) -> str | None:
    """Return an address as every catalog gives it back: an IPv4 one plain, and without a zone."""
    if not address:
        return None
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Return details as JSON that every catalog gives back as it was.

    PostgreSQL writes great numbers out, so that they come back whole, and knows no negative zero;
    it keeps no NUL.
    """
    text = json.dumps(details, default=str).replace(NUL, REPLACEMENT)
    plain: dict[str, Any] = json.loads(text, parse_float=_parse_float, parse_constant=str)
    return plain


def _parse_float(text: str) -> float | int:
    number = float(text)
    return int(number) if abs(number) >= EXACT_FLOAT_MAX else number + 0.0


def _append(event: AuditEvent) -> None:
    _lock_what_comes_before(event)
    locked = AuditChain.objects.select_for_update()
    chain = locked.filter(key=event.chain).first()
    if chain is None:
        AuditChain.objects.get_or_create(key=event.chain)
        chain = locked.get(key=event.chain)
    event.sequence = chain.length + 1
    event.hash = hash_of(event, chain.head)
    event.save(force_insert=True)
    chain.length, chain.head = event.sequence, event.hash
    chain.save()


def _lock_what_comes_before(event: AuditEvent) -> None:
    """Take every lock that PostgreSQL would take at the commit, while the chain is locked.

    Foreign keys are checked then, which locks the rows that they point to: a transaction with the
    chain would wait for one that has the organization and waits for the chain.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if event.organization_id is not None:
            cursor.execute(
                "SELECT 1 FROM tenancy_organization WHERE id = %s FOR KEY SHARE",
                [event.organization_id],
            )


def digest_of_address(address: str | None, salt: str) -> str:
    """Return what stands for an address in the hash; nothing for none."""
    return hashlib.sha256(f"{salt}/{address}".encode()).hexdigest() if address else ""


def hash_of(event: AuditEvent, before: str) -> str:
    """Return the hash of an event that follows on the one whose hash is `before`."""
    covered = [
        before, event.chain, event.sequence, event.at.isoformat(), event.actor, event.action,
        event.details, event.request_id, event.address_digest,
    ]  # fmt: skip
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
