"""How many new documents are made ready and inserted by one command."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from tenancy.exceptions import PayloadTooLarge, PlanLimitReached, TenancyError
from tenancy.mongo.bulk_plan import Change, Inserts, Outcome, created, failure
from tenancy.mongo.extended_types import RAW_OPTIONS
from tenancy.mongo.quick_documents import encode_together
from tenancy.mongo.revisions import first_meta
from tenancy.mongo.writing import (
    EMPTY_BYTES,
    LENGTH,
    WRITE_PROBLEMS,
    WritableCollection,
    check_size,
    elements_of,
)

# Any will do that is found again where it is encoded.
_SAMPLE = ObjectId(b"_id of any 12"[:12])
Note = Callable[[Mapping[int, Outcome]], None]
Numbered = Sequence[tuple[int, Change]]


class InsertWriting(WritableCollection):
    """The part of a TenantCollection that a bulk of inserts needs."""

    def _ready_together(self, inserts: Inserts) -> tuple[list[Any], list[int]] | None:
        """Return inserts ready, and their sizes; None if something is against one of them."""
        if not all(self._find_fine(inserts.fields, inserts.is_json)):
            return None
        meta = elements_of({"_meta": first_meta(self._by)})
        try:
            ready = self._compose(inserts.ids, inserts.encoded, meta)
            self._room(len(inserts), sum(ready[1]))
        except (PayloadTooLarge, PlanLimitReached):
            return None
        return ready

    def _insert_counted(
        self, documents: Sequence[Any], sizes: list[int]
    ) -> dict[int, TenancyError]:
        """Insert documents and tell their sizes; return which were refused, and why."""
        refused = self._insert_unordered(documents)
        for position in refused:
            sizes[position] = 0
        self._on_change(len(sizes) - len(refused), sum(sizes))
        return refused

    def _ready_run(self, changes: Sequence[Change]) -> Iterator[tuple[Any, int] | TenancyError]:
        """Make inserts ready as `_ready` does, or tell what is wrong with one."""
        meta = elements_of({"_meta": first_meta(self._by)})
        known = [each for each in changes if each.error is None and each.encoded is not None]
        fields, is_json = [each.fields for each in known], [each.is_json for each in known]
        quick = zip(self._compose_each(known, meta), self._find_fine(fields, is_json), strict=True)
        for change in changes:
            try:
                if change.error is not None:
                    yield change.error
                elif change.encoded is None:
                    yield self._ready(change.fields, meta)
                else:
                    made, is_fine = next(quick)
                    if not is_fine and not isinstance(made, TenancyError):
                        self._check(change.whole().fields)
                    yield made
            except WRITE_PROBLEMS as error:
                yield error

    def _compose_each(
        self, changes: Sequence[Change], meta: bytes
    ) -> list[tuple[Any, int] | TenancyError]:
        """Compose documents together; where one is too large, say of which that is so."""
        ids, encoded = (
            [each.document_id for each in changes],
            [each.encoded or b"" for each in changes],
        )
        try:
            return list(zip(*self._compose(ids, encoded, meta), strict=True))
        except PayloadTooLarge as error:
            if len(changes) == 1:
                return [error]
        return [made for each in changes for made in self._compose_each([each], meta)]

    def _compose(
        self, ids: Sequence[Any], encoded: Sequence[bytes], meta: bytes
    ) -> tuple[list[Any], list[int]]:
        """Return new documents as they are sent, and the sizes of their fields.

        `encoded` are the elements of their fields, but for the `_id`s. Raises PayloadTooLarge.
        """
        first, end = self._id_elements(ids), meta + b"\0"
        extra = EMPTY_BYTES - self._boundary.id_extra_bytes
        sizes = [len(one) + len(other) + extra for one, other in zip(first, encoded, strict=True)]
        check_size(max(sizes, default=0), self._max_bytes)
        more = LENGTH.size + len(end) - extra
        documents = [
            RawBSONDocument(LENGTH.pack(size + more) + one + other + end, RAW_OPTIONS)
            for size, one, other in zip(sizes, first, encoded, strict=True)
        ]
        return documents, sizes

    def _id_elements(self, ids: Sequence[Any]) -> list[bytes]:
        """Return the elements `_id` of stored documents."""
        stored_id = self._boundary.stored_id
        if any(type(each) is not ObjectId for each in ids):
            return encode_together([{"_id": stored_id(each)} for each in ids])
        sample = elements_of({"_id": stored_id(_SAMPLE)})
        before, _, after = sample.rpartition(_SAMPLE.binary)
        return [before + each.binary + after for each in ids]


def tell_inserts(
    kept: Numbered,
    refused: Mapping[int, TenancyError],
    outcomes: dict[int, Outcome],
    note: Note,
) -> None:
    """Tell what came of inserts, beside the `outcomes` that are known; raise what is not theirs."""
    is_sorted = not outcomes
    not_now: TenancyError | None = None
    for position, (number, change) in enumerate(kept):
        error = refused.get(position)
        if error is None:
            outcomes[number] = created(change)
        elif isinstance(error, WRITE_PROBLEMS):
            outcomes[number] = failure(change, error)
        else:
            not_now = not_now or error
    note(outcomes if is_sorted else dict(sorted(outcomes.items())))
    if not_now is not None:
        raise not_now
