"""A write that may have come to the source of a move too late asks when it is at the target.

Before a move switches it leaves a mark at the source: `{_id: "asked", asked, done}`. Whoever has
written there, and sees then that a pause may have begun or that the organization has moved on,
counts `asked` up. The mover brings all that came before it home, in the pause or, when it sees that
among the changes, after it, and says with `done` how many it has answered. It removes the mark when
all is home that was written within one operation timeout of the switch.
"""

from pymongo import ReadPreference, ReturnDocument
from pymongo.collection import Collection

from tenancy.mongo.boundary import boundary_of
from tenancy.mongo.changes import QUESTIONS
from tenancy.mongo.clients import Document, get_database
from tenancy.mongo.errors import driver_errors
from tenancy.names import PlacementAddress

MARK = "asked"
_ASKED, _DONE = "asked", "done"


def leave_mark(source: PlacementAddress) -> None:
    """Let late writers ask. Safe to repeat."""
    with driver_errors(writing=True):
        _marks(source).update_one(
            _mark(source), {"$setOnInsert": {_ASKED: 0, _DONE: 0}}, upsert=True
        )


def ask(source: PlacementAddress) -> int | None:
    """Ask for what was written before this call; return the question's number.

    None if there is nobody to ask: all is at the target, or nobody moves away from there.
    """
    with driver_errors(writing=True):
        row = _marks(source).find_one_and_update(
            _mark(source), {"$inc": {_ASKED: 1}}, return_document=ReturnDocument.AFTER
        )
    return None if row is None else int(row[_ASKED])


def is_answered(source: PlacementAddress, number: int) -> bool | None:
    """Return whether what was written before a question is at the target; None as `ask` does."""
    row = _read(source)
    return None if row is None else int(row[_DONE]) >= number


def open_question(source: PlacementAddress) -> int | None:
    """Return the number of the last question that is not answered, or None."""
    row = _read(source)
    return int(row[_ASKED]) if row is not None and row[_ASKED] > row[_DONE] else None


def answer(source: PlacementAddress, number: int) -> None:
    """Say that all that was written before a question, and those before it, is at the target."""
    with driver_errors(writing=True):
        _marks(source).update_one(_mark(source), {"$max": {_DONE: number}})


def close(source: PlacementAddress) -> None:
    """Let nobody ask any more: all is at the target. Safe to repeat."""
    with driver_errors(writing=True):
        _marks(source).delete_one(_mark(source))


def _read(source: PlacementAddress) -> Document | None:
    with driver_errors(writing=False):
        return _marks(source).find_one(_mark(source))


def _marks(source: PlacementAddress) -> Collection[Document]:
    return get_database(source)[source.physical(QUESTIONS)].with_options(
        read_preference=ReadPreference.PRIMARY
    )


def _mark(source: PlacementAddress) -> Document:
    return {"_id": boundary_of(source, QUESTIONS).stored_id(MARK)}
