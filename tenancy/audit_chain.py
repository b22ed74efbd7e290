"""Whether the audit is as it was written: every chain recomputed, the first broken event named.

A chain proves itself against whoever changes, removes, adds or reorders events. Who rewrites a
whole chain, its head included, is found by a head that was kept elsewhere: in a chain that only
grew, an earlier head still is the hash of one of its events.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from tenancy.audit import digest_of_address, hash_of
from tenancy.models import AuditChain, AuditEvent, Organization, OrganizationStatus

PAGE_EVENTS = 500
# What every organization that ever was active has an event of.
CREATED = "organization.created"


class Flaw(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    HEAD_CHANGED = "head_changed"
    UNCHAINED = "unchained"
    REWRITTEN = "rewritten"


SENTENCES = {
    Flaw.CHANGED: "The event is not what was written.",
    Flaw.MISSING: "An event is missing.",
    Flaw.INSERTED: "The event was put in later.",
    Flaw.REORDERED: "The event stands in the place of another one.",
    Flaw.TRUNCATED: "The chain ends too early.",
    Flaw.HEAD_CHANGED: "The head of the chain is not the hash of its last event.",
    Flaw.UNCHAINED: "There are events, and no chain that they belong to.",
    Flaw.REWRITTEN: "The kept head is the hash of no event: the chain is another one.",
}


@dataclass(frozen=True)
class Broken:
    """The first thing that is wrong; `event_id` is None where there is no event to point at."""

    flaw: Flaw
    sequence: int
    event_id: int | None = None

    @property
    def detail(self) -> str:
        """Return a sentence for a person."""
        return SENTENCES[self.flaw]


@dataclass(frozen=True)
class Verdict:
    """What was found in one chain: how many events are good, from which on, and the head.

    `first` is above 1 where only the newest were looked at. `head` is that of the good events.
    """

    key: str
    events: int = 0
    head: str = ""
    first: int = 1
    broken: Broken | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is wrong with what was looked at."""
        return self.broken is None


def chain_keys() -> Iterator[str]:
    """Return the key of every chain that is there, or should be; bounded in memory.

    Those are the chains, what events claim to be in one, and what organizations must have.
    """
    yield from _written_keys()
    yield from _unwritten_keys()


def _written_keys() -> Iterator[str]:
    last = ""
    while True:
        chains = AuditChain.objects.filter(key__gt=last).order_by("key")[:1]
        events = AuditEvent.objects.filter(chain__gt=last).order_by("chain")[:1]
        found = [*chains.values_list("key", flat=True), *events.values_list("chain", flat=True)]
        if not found:
            return
        last = min(found)
        yield last


def _unwritten_keys() -> Iterator[str]:
    """Return the chains that organizations must have, and of which nothing is there."""
    created = Organization.objects.exclude(status=OrganizationStatus.PROVISIONING).order_by("pk")
    page = list(created.values_list("pk", flat=True)[:PAGE_EVENTS])
    while page:
        keys = {str(pk) for pk in page}
        keys.difference_update(
            AuditChain.objects.filter(key__in=keys).values_list("key", flat=True)
        )
        yield from (key for key in keys if not AuditEvent.objects.in_chain(key).exists())
        page = list(created.filter(pk__gt=page[-1]).values_list("pk", flat=True)[:PAGE_EVENTS])


def verify_chain(key: str, *, kept: Collection[str] = (), newest: int | None = None) -> Verdict:
    """Recompute a chain. `kept` are heads that it had earlier; `newest` bounds how much is read.

    Events that are added meanwhile are verified as well.
    """
    chain = AuditChain.objects.filter(key=key).first()
    skipped = max(0, chain.length - newest) if chain is not None and newest is not None else 0
    walk = _Walk(key, skipped, frozenset(kept) - {""})
    broken = walk.run()
    if broken is None and walk.unseen and not skipped:
        broken = Broken(Flaw.REWRITTEN, walk.last)
    return Verdict(key, walk.last - skipped, walk.head, skipped + 1, broken)


class _Walk:
    """One pass over a chain: `last` and `head` are of the last event that was found good."""

    def __init__(self, key: str, skipped: int, kept: frozenset[str]) -> None:
        self.key, self.last, self.head, self.unseen = key, skipped, "", kept
        self._events = AuditEvent.objects.in_chain(key)
        self._organization = _organization_of(key)
        if skipped:
            before = self._events.filter(sequence=skipped).first()
            self.head = before.hash if before is not None else ""

    def run(self) -> Broken | None:
        """Verify what there is, until there is no more. Return what is wrong, if anything."""
        while True:
            # The chain is read before the events: what it counts, they have.
            chain = AuditChain.objects.filter(key=self.key).first()
            page = self._page(self.last)
            if not page:
                return self._end(chain) or self._beginning()
            for event in page:
                flaw = self._judge(event)
                if flaw is not None:
                    return Broken(flaw, self.last + 1, None if flaw is Flaw.MISSING else event.pk)
                self.last, self.head = event.sequence, event.hash
                self.unseen -= {event.hash}

    def _beginning(self) -> Broken | None:
        """Say whether all was removed, and perhaps begun anew: then the creation is missing.

        It need not come first: old events were chained by their times, and what a user does is
        recorded in an organization of theirs that is still being created.
        """
        status = getattr(self._organization, "status", OrganizationStatus.PROVISIONING)
        if status == OrganizationStatus.PROVISIONING:
            return None
        first = self._events.filter(sequence=1).values_list("action", flat=True).first()
        is_there = first == CREATED or self._events.filter(action=CREATED).exists()
        return None if is_there else Broken(Flaw.MISSING, 1)

    def _page(self, last: int) -> list[AuditEvent]:
        return list(self._events.filter(sequence__gt=last).order_by("sequence")[:PAGE_EVENTS])

    def _end(self, chain: AuditChain | None) -> Broken | None:
        if chain is None:
            first = self._events.order_by("sequence").first()
            return Broken(Flaw.UNCHAINED, first.sequence, first.pk) if first is not None else None
        if self.last < chain.length:
            return Broken(Flaw.TRUNCATED, self.last + 1)
        event = self._events.filter(sequence=chain.length + 1).first()
        if event is not None:
            return Broken(Flaw.INSERTED, event.sequence, event.pk)
        stray = self._events.filter(sequence__lt=1).first()
        if stray is not None:
            return Broken(Flaw.INSERTED, stray.sequence, stray.pk)
        return Broken(Flaw.HEAD_CHANGED, self.last) if chain.head != self.head else None

    def _judge(self, event: AuditEvent) -> Flaw | None:
        wanted = self.last + 1
        if event.sequence != wanted:
            return Flaw.MISSING
        if hash_of(event, self.head) != event.hash:
            return self._diagnose(event)
        if self._is_true(event):
            return None
        # It may have been purged, or its creation undone, since this pass began.
        self._organization = _organization_of(self.key)
        event.refresh_from_db()
        return None if self._is_true(event) else Flaw.CHANGED

    def _is_true(self, event: AuditEvent) -> bool:
        """Return whether what the hash does not cover is as it was: organization and address."""
        whose = str(event.organization_id) if event.organization_id else None
        if whose != (self.key if self._organization is not None else None):
            return False
        if event.address is not None:
            return digest_of_address(event.address, event.address_salt) == event.address_digest
        is_gone = self._organization is None and self.key != AuditChain.SERVICE
        is_purged = getattr(self._organization, "status", None) == OrganizationStatus.PURGED
        return not event.address_digest or is_gone or is_purged

    def _diagnose(self, event: AuditEvent) -> Flaw:
        """Say why an event does not follow: read the rest for the one that does."""
        right = next((each for each in self._rest(event) if self._follows(each)), None)
        if right is None:
            is_short = AuditChain.objects.filter(key=self.key, length__gt=self._events.count())
            is_gone = is_short.exists() and not self._is_followed(event)
            return Flaw.MISSING if is_gone else Flaw.CHANGED
        before = right.hash
        if right.sequence > event.sequence + 1:
            place = self._events.filter(sequence=right.sequence - 1).first()
            before = place.hash if place is not None else ""
        elsewhere = _at(event, right.sequence)
        return Flaw.REORDERED if hash_of(elsewhere, before) == event.hash else Flaw.INSERTED

    def _rest(self, event: AuditEvent) -> Iterator[AuditEvent]:
        last = event.sequence
        while page := self._page(last):
            yield from page
            last = page[-1].sequence

    def _follows(self, event: AuditEvent) -> bool:
        return hash_of(_at(event, self.last + 1), self.head) == event.hash

    def _is_followed(self, event: AuditEvent) -> bool:
        following = self._events.filter(sequence=event.sequence + 1).first()
        return following is not None and hash_of(following, event.hash) == following.hash


def _organization_of(key: str) -> Organization | None:
    try:
        return Organization.objects.filter(pk=UUID(key)).first()
    except ValueError:
        return None


def _at(event: AuditEvent, sequence: int) -> AuditEvent:
    """Return the event as it would be in another place."""
    values: dict[str, Any] = {
        name: getattr(event, name)
        for name in ("chain", "at", "actor", "action", "details", "request_id", "address_digest")
    }
    return AuditEvent(sequence=sequence, **values)
