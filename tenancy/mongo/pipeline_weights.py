"""How much memory MongoDB may need for a pipeline, judged before it runs.

What is alive at a time, in units of 32 MiB (`expression_weights`), and what bounds it:

* The document as MongoDB loads it: its BSON, and up to 253 bytes for each 15 of an array of small
  objects. LOADED for 16 MiB.
* What stages have put together for the one document that they pass on: weighed, and added up.
* `$group`, `$sort`, `$bucket` and `$sortByCount` keep documents, and MongoDB ends a stage over
  100 MB: BLOCK. They run after one another: a stage has freed its memory when the next but one
  is reached, so that a pipeline has two of them at most.
* `$facet` passes 100 MB at a time to its branches and collects 100 MB of answers. All branches read
  together: each may keep one block; and one branch at a time a second one, when nothing is left to
  pass on.

A document that comes out of a `$group` with `$push`, `$addToSet` or `$mergeObjects`, or out of a
`$facet`, may itself have 100 MB: from there on everything is weighed for such a one. `$unwind`,
`$match`, `$limit`, `$skip` and `$unset` put nothing together. A field inside of another one, `a.b`
or `{a: {b: ...}}`, is made once for each element where `a` is an array, and weighed so; what is
computed for it is computed once, before: see `hoisting`.

So no accepted pipeline makes MongoDB allocate more than MAX_WEIGHT units: 50 * 32 MiB, 1.6 GiB, and
that only for documents made for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tenancy.mongo.expression_weights import FIELD, OBJECT, Reach, Weight, together, weigh

MAX_WEIGHT = 50
UNIT_BYTES = 16 * 1_048_576  # of BSON
UNIT_ELEMENTS = UNIT_BYTES // 8
LOADED = 9
BLOCK = 4
# How many blocks of 100 MB a stage has.
BLOCKS = {"$group": 1, "$sort": 1, "$bucket": 2, "$sortByCount": 2}
COLLECTING = frozenset(("$push", "$addToSet", "$mergeObjects"))
NUMBERS = frozenset(("$sum", "$avg", "$count", "$stdDevPop", "$stdDevSamp"))


@dataclass(frozen=True)
class Load:
    """What may be in a document at one place of a pipeline, and in memory for it.

    `field` is the size of the largest field, `whole` that of the document, as if written out;
    `held` is what was allocated, `top` the most that was at a time, `blocks` how many stages keep
    documents. `spread` is the size of what stands in each element of an array.
    """

    field: float
    whole: float
    held: float
    blocks: int = 0
    top: float = 0
    spread: float = 0

    @classmethod
    def of_documents(cls, document_bytes: int) -> "Load":
        """Return the load of stored documents of at most so many bytes."""
        size = document_bytes / UNIT_BYTES
        return cls(size, size, LOADED * size)

    @property
    def memory(self) -> float:
        """All that is allocated at a time."""
        return max(self.held, self.top) + BLOCK * min(self.blocks, 2)

    @property
    def is_too_much(self) -> bool:
        """Whether a pipeline with it is refused."""
        return max(self.field, self.whole, self.memory) > MAX_WEIGHT

    def behind(self, name: str, stage: Any) -> "Load":
        """Return the load behind a compiled stage; of `$facet` see `with_branches`."""
        made = replace(self, blocks=self.blocks + BLOCKS.get(name, 0))
        if name in {"$set", "$project"}:
            return made._behind_fields(stage, keeps=name == "$set")  # noqa: SLF001
        if name in {"$group", "$bucket"}:
            return made._behind_group(stage.get("output", {}) if name == "$bucket" else stage)  # noqa: SLF001
        if name == "$sortByCount":
            return made._behind_group({"_id": stage})  # noqa: SLF001
        if name == "$count":
            return replace(made, field=0, whole=0)
        return made

    def in_branch(self) -> "Load":
        """Return the load with which a branch of `$facet` begins."""
        return replace(self, blocks=0)

    def with_branches(self, branches: Sequence["Load"]) -> "Load":
        """Return the load behind a `$facet` whose branches end with these."""
        made = sum(max(each.held, each.top) - self.held for each in branches)
        blocking = sum(each.blocks > 0 for each in branches)
        held = self.memory + made + BLOCK * (blocking + 2)
        return Load(BLOCK, BLOCK, held, top=self.top)

    def _behind_fields(self, fields: Mapping[str, Any], *, keeps: bool) -> "Load":
        computed = {
            name: value
            for name, value in fields.items()
            if not isinstance(value, bool | int | float)
        }
        found = [self._weigh_field(name, value) for name, value in computed.items()]
        kept = self.whole if keeps or len(computed) < len(fields) else 0
        spread = max((each for _, each in found), default=0)
        return self._with([each for each, _ in found], whole=kept, spread=spread)

    def _behind_group(self, fields: Mapping[str, Any]) -> "Load":
        made = [self._behind_accumulator(name, each) for name, each in fields.items()]
        return replace(self, field=0)._with(made, whole=0)  # noqa: SLF001

    def _behind_accumulator(self, name: str, made: Any) -> Weight:
        if name == "_id":
            return self._weigh(made)
        accumulator, expression = next(iter(made.items()))
        found = self._weigh(expression)
        if accumulator in NUMBERS:
            return replace(found, size=0)
        # MongoDB looks after it has taken one more.
        return replace(found, size=found.size + BLOCK) if accumulator in COLLECTING else found

    def _weigh(self, expression: Any, each: float = 0) -> Weight:
        return weigh(expression, Reach(max(self.field, self.spread), self.whole, each=each))

    def _weigh_field(self, name: str, value: Any) -> tuple[Weight, float]:
        """Return the weight of a field that is made, and how large it is if it is in elements."""
        is_object = isinstance(value, dict) and not next(iter(value), "$").startswith("$")
        if "." not in name and not is_object:
            return self._weigh(value), 0
        elements = self.field * UNIT_ELEMENTS
        once, fresh = self._weigh(value), self._weigh(value, self.field)
        made = fresh.held + once.held * elements + self.field * (OBJECT + FIELD)
        return Weight(once.size, made, made + fresh.peak), once.size * elements

    def _with(self, made: Sequence[Weight], *, whole: float, spread: float = 0) -> "Load":
        """Return the load with more fields; while one is computed the others are there."""
        parts = together(made)
        return replace(
            self,
            field=max([self.field, *(each.size for each in made)]),
            whole=whole + parts.size,
            held=self.held + parts.held,
            top=max(self.top, self.held + parts.peak),
            spread=max(self.spread, spread),
        )
