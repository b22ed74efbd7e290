"""The copy that a move or a clone makes, step by step, as the journal remembers it.

What a runner holds in memory - the change stream, what is not proven equal yet - the next runner
makes anew. What it must know is in the operation's `state`: since when changes count, how far the
change stream was read, how far each collection is copied.
"""

import time
from collections.abc import Iterator
from typing import Self
from uuid import uuid4

from tenancy.audit import record_event
from tenancy.exceptions import PlacementDisturbed
from tenancy.mongo import late_writes, provisioning
from tenancy.mongo.carried_records import CarriedRecords
from tenancy.mongo.changes import SENTINELS, TRACES, Change, Changes, note_time
from tenancy.mongo.copying import Copy
from tenancy.mongo.raw_collections import END, FIRST
from tenancy.mongo.raw_documents import read_id, spell_id
from tenancy.names import COLLECTION_NAME, PlacementAddress
from tenancy.operations import Run, fail_point

BEAT_SECONDS = 0.5
# Between batches of a long copy the changes are read, so that the oplog need not hold them all.
CATCH_UP_SECONDS = 2.0
# As much of the time goes into that at most, however many write: the rest is for the copy.
CATCH_UP_SHARE = 0.5
# So few changes are what was written while the ones before were applied: there is always another.
FEW_CHANGES = 200
# As good as caught up: a sentinel comes back within this time.
LAG_SECONDS = 0.15
SETTLE_ATTEMPTS = 100
PROVE_ROUNDS = 5
COPIED = "copied"


class CopyRun:
    """One runner's part in a copy. Kept with its run, for the steps that follow."""

    def __init__(
        self, run: Run, source: PlacementAddress, target: PlacementAddress,
        only: frozenset[str] | None = None,
    ) -> None:  # fmt: skip
        self.run, self.source, self.target = run, source, target
        self.verified = False
        self._beat_at = self._caught_up_at = 0.0
        state = run.operation.state
        changes = Changes(source, since=state["since"], token=state.get("token", ""))
        self.copy = Copy(source, target, changes, run.guarded, only=only)
        self.records = CarriedRecords(source, target, run.organization_id, run.guarded)

    @classmethod
    def of(
        cls, run: Run, source: PlacementAddress, target: PlacementAddress,
        only: frozenset[str] | None = None,
    ) -> Self:  # fmt: skip
        """Return what earlier steps of this runner have, or begin where another one stopped.

        With `only`, no other collections are copied.
        """
        if not isinstance(run.session, cls):
            run.session = cls(run, source, target, only)
        return run.session

    def close(self) -> None:
        """End the change stream."""
        self.copy.changes.close()

    def beat(self, *, now: bool = False) -> None:
        """Keep the lease, record the progress, and stop if the operation is no longer wanted.

        Does nothing within `BEAT_SECONDS` of the last time, unless it has to be `now`.
        """
        if not now and time.monotonic() - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = time.monotonic()
        row = self.run.operation
        self.run.update(
            state=row.state | {"token": self.copy.changes.token},
            progress_done=row.progress_done,
            progress_total=max(row.progress_done, row.progress_total),
        )
        self.run.assert_lease()
        if "switched_at_ms" not in row.state:
            self.run.assert_wanted()

    def catch_up(self) -> int:
        """Apply what has changed, a bounded part of it; return how many changes that were."""
        count, _ = self.copy.catch_up()
        self._caught_up_at = time.monotonic()
        self.beat()
        return count

    def keep_up(self) -> None:
        """Now and then, apply all that has changed, or what can be in a share of the time."""
        began = time.monotonic()
        if began - self._caught_up_at < CATCH_UP_SECONDS:
            return
        while self.catch_up() >= FEW_CHANGES:
            if time.monotonic() - began > CATCH_UP_SECONDS * CATCH_UP_SHARE:
                return

    def copy_all(self) -> None:
        """Copy every collection from where the last runner stopped."""
        for logical in self._collections():
            place = self._place_of(logical)
            done = self.run.operation.progress_done
            if place["start"] == spell_id(END):
                continue
            start, end = read_id(place["start"]), read_id(place["end"])
            for batch in self.copy.copy_batches(logical, start, end):
                done += batch.documents
                self._record(logical, {**place, "start": spell_id(batch.start)}, done)
                fail_point(f"{self.run.operation.kind}.copying")
                self.keep_up()

    def _collections(self) -> list[str]:
        """Return what there is to copy; traces of copies are not."""
        found = provisioning.list_namespace(self.source)
        return [
            logical
            for logical, physical in found.items()
            if logical not in TRACES and is_copied(logical, physical) and self.copy.takes(logical)
        ]

    def _place_of(self, logical: str) -> dict[str, str]:
        places: dict[str, dict[str, str]] = self.run.operation.state.get(COPIED, {})
        if logical not in places:
            end = self.copy.find_end(logical)
            return {"start": spell_id(FIRST), "end": spell_id(end)}
        return places[logical]

    def _record(self, logical: str, place: dict[str, str], done: int) -> None:
        """Remember how far a collection is copied: at each beat, and at its end."""
        row = self.run.operation
        row.state = row.state | {COPIED: row.state.get(COPIED, {}) | {logical: place}}
        row.progress_done = done
        self.beat(now=place["start"] == spell_id(END))

    def catch_late(self, *, until: Change | None = None) -> bool:
        """Bring changes that arrived after the switch. Return whether `until` was seen.

        How far that is, is recorded at once: what was carried once is not carried again, when its
        user may have deleted it. Late writers who have asked are told when theirs is home.
        """
        is_seen = self._catch_late(until)
        if self.copy.take_asked():
            is_seen |= self.answer_late_writers()
        return is_seen

    def answer_late_writers(self) -> bool:
        """Tell those who have asked that what they had written is home, once it is.

        Return whether all changes up to now were read for that.
        """
        number = late_writes.open_question(self.source)
        if number is None:
            return False
        sentinel = self.copy.write_sentinel(uuid4().hex)
        while not self._catch_late(sentinel):
            pass
        with self.run.guarded():
            late_writes.answer(self.source, number)
        return True

    def _catch_late(self, until: Change | None) -> bool:
        row = self.run.operation
        carried, is_seen = self.copy.catch_late(
            row.state["switched_at_ms"], until=until, find_repeated=self._bring_records
        )
        for logical, document_id in self.copy.take_refused():
            record_event(
                self.run.organization, "organization.late_write_set_aside", by=row.by,
                collection=logical, document=document_id,
            )  # fmt: skip
        self.beat(now=carried > 0)
        return is_seen

    def _bring_records(self) -> set[bytes]:
        """Carry records before documents: whoever repeats a late write finds that it was made."""
        self.records.bring()
        return self.records.repeated

    def verify(self) -> None:
        """Compare everything while it changes, until source and target are equal but for moments.

        Raises PlacementDisturbed if they do not become equal.
        """
        self.settle()
        for compared in self._compare_all():
            self.beat()
            self.keep_up()
            self.run.operation.progress_done += compared
        self.settle()
        for _ in range(PROVE_ROUNDS):
            if not self.copy.prove():
                break
            self.copy.mend()
            self.settle()
        self.verified = True

    def _compare_all(self) -> Iterator[int]:
        row = self.run.operation
        row.progress_done = 0
        documents = differing = 0
        self.copy.begin_digest()
        for logical in self._collections():
            for part in self.copy.compare(logical):
                documents += part.documents
                differing += part.differing
                yield part.documents
        proof = {"documents": documents, "differing": differing, "sha256": self.copy.digest}
        row.state = row.state | {"compared": proof}
        row.progress_done = row.progress_total = documents
        self.beat(now=True)

    def settle(self) -> None:
        """Catch up until as good as nothing is left, however many write meanwhile."""
        for _ in range(SETTLE_ATTEMPTS):
            began = time.monotonic()
            self.see_all(max_seconds=None)
            if time.monotonic() - began < LAG_SECONDS:
                return
        raise PlacementDisturbed("Changes come faster than they can be copied.")

    def see_all(self, *, max_seconds: float | None) -> None:
        """Apply every change made up to now: write a sentinel, and go on until it is seen."""
        sentinel = self.copy.write_sentinel(uuid4().hex)
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        while not self.copy.catch_up(until=sentinel)[1]:
            if deadline is None:
                self.beat()
            elif time.monotonic() > deadline:
                raise PlacementDisturbed("The changes made before the pause were not seen in time.")
        self._caught_up_at = time.monotonic()

    def drop_sentinels(self) -> None:
        """Remove from the source what was written to be looked out for."""
        provisioning.drop_collection(self.source, SENTINELS, self.run.guarded)


def is_copied(logical: str, physical: provisioning.PhysicalCollection) -> bool:
    """Return whether a copy takes it along: collections as the product makes them, and its own."""
    is_named = COLLECTION_NAME.fullmatch(logical) is not None or logical in TRACES
    return is_named and not physical.is_view


def begin_changes(run: Run, source: PlacementAddress) -> None:
    """Note since when changes count, before anything is copied."""
    if "since" not in run.operation.state:
        run.update(state=run.operation.state | {"since": note_time(source)})
