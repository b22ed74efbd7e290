"""The `_id`s of new documents: ObjectIds, in the order in which a process makes them.

They are those of the driver, made without asking the system for the process at every one: a bulk
needs a thousand. https://www.mongodb.com/docs/manual/reference/bson-types/#objectid
"""

import os
import time
from itertools import count, islice
from random import SystemRandom

from bson import ObjectId

_COUNTER_LIMIT = 2**24


class _Series:
    """Five random bytes of this process, and a counter from anywhere; `next` is atomic."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew, as a process must that was forked."""
        self._random = os.urandom(5)
        self._numbers = count(SystemRandom().randrange(_COUNTER_LIMIT))

    def make(self) -> ObjectId:
        """Return the next."""
        return self.make_many(1)[0]

    def make_many(self, count: int) -> list[ObjectId]:
        """Return the next ones, all of this second."""
        begin = int(time.time()).to_bytes(4, "big") + self._random
        numbers = islice(self._numbers, count)
        return [ObjectId(begin + (each % _COUNTER_LIMIT).to_bytes(3, "big")) for each in numbers]


_series = _Series()
os.register_at_fork(after_in_child=_series.begin)
new_id, new_ids = _series.make, _series.make_many
