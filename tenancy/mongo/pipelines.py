"""JSON pipelines -> checked MongoDB pipelines, by a list of stages that reach nothing else."""

from collections.abc import Callable, Mapping
from typing import Any

from tenancy.exceptions import OperatorNotAllowed, QueryTooComplex, StageNotAllowed
from tenancy.mongo.expression_operators import ACCUMULATORS
from tenancy.mongo.expressions import ExpressionWalk
from tenancy.mongo.field_paths import colliding, flaw_of_name, flaw_of_path
from tenancy.mongo.filters import FilterWalk
from tenancy.mongo.hoisting import hoisted
from tenancy.mongo.pipeline_weights import Load
from tenancy.mongo.query_values import Path, is_whole, meant
from tenancy.mongo.raw_json import shown
from tenancy.wording import shorten

PIPELINE_MAX_BYTES = 65_536
PIPELINE_MAX_STAGES = 20
FACET_MAX_BRANCHES = 10
FACET_MAX_STAGES = 10
LIMIT_MAX = 10_000
SKIP_MAX = 10_000
BOUNDARIES_MAX = 1_000
DOCUMENT_BYTES = 1_048_576
# What may run before `_meta.by` is out of sight, because it cannot show it; an index serves these.
HARMLESS = frozenset(("$match", "$sort", "$limit", "$skip"))
TOO_MUCH = (
    "The stages up to here could put more together than MongoDB has memory for: copies of large"
    " fields, or objects for each element. Behind a $group with $push nearly nothing may be: put"
    " objects together inside of the $push. A field of an object is made for each element of an"
    " array: {$mergeObjects: [{...}]} makes the object once."
)
OUT_OF_SIGHT = "_meta.by"
BUCKET_FIELDS = frozenset(("groupBy", "boundaries", "default", "output"))
UNWIND_FIELDS = frozenset(("path", "includeArrayIndex", "preserveNullAndEmptyArrays"))


def compile_pipeline(
    raw: Any, at: str = "/pipeline", *, document_bytes: int = DOCUMENT_BYTES
) -> list[dict[str, Any]]:
    """Return the MongoDB stages that raw JSON spells; `at` is the pointer to it in the request.

    What documents of at most `document_bytes` could make MongoDB allocate is bounded, whatever is
    in them: see `pipeline_weights`.

    What comes out is in the user's view, for `Boundary.pipeline`: a first `$match` stays the first
    stage. `_meta.by`, which clients do not see, is unset behind the `$match`, `$sort`, `$limit` and
    `$skip` that come first, so that these are served by an index; no other stage needs to hide it.

    At most PIPELINE_MAX_BYTES of JSON, PIPELINE_MAX_STAGES stages, FACET_MAX_BRANCHES branches of
    FACET_MAX_STAGES. How many documents come out is for the caller to bound. Raises
    StageNotAllowed, OperatorNotAllowed, TypeNotAllowed, QueryTooComplex, or ValidationFailed for
    another shape.
    """
    walk = PipelineWalk(at, document_bytes)
    walk.check_size(raw, PIPELINE_MAX_BYTES)
    stages = walk.read_stages(raw, None, PIPELINE_MAX_STAGES)
    lead = next((i for i, stage in enumerate(stages) if not stage.keys() <= HARMLESS), len(stages))
    return [*stages[:lead], {"$unset": OUT_OF_SIGHT}, *stages[lead:]]


class PipelineWalk(ExpressionWalk):
    """One look at a raw pipeline."""

    def __init__(self, at: str, document_bytes: int) -> None:
        super().__init__(at)
        self.load = Load.of_documents(document_bytes)

    def read_stages(
        self, raw: Any, path: Path, most: int, *, is_branch: bool = False
    ) -> list[dict[str, Any]]:
        """Return compiled stages; `load` is then what they may have made of a document."""
        stages = self.check_array(raw, path, "A pipeline")
        if len(stages) > most:
            self.refuse(path, f"There are at most {most} stages here.", QueryTooComplex)
        read = []
        for index, each in enumerate(stages):
            at = (path, index)
            name, value = self._check_stage(each, at, is_branch=is_branch)
            compiled = STAGES[name](self, value, (at, name))
            read += self._weighed(hoisted(name, compiled), at)
        return read

    def _weighed(self, stages: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
        """Return what does the work of one stage, unless it could take too much memory."""
        for stage in stages:
            self.load = self.load.behind(*next(iter(stage.items())))
            if self.load.is_too_much:
                self.refuse(path, TOO_MUCH, QueryTooComplex)
        return stages

    def _check_stage(self, raw: Any, path: Path, *, is_branch: bool) -> tuple[str, Any]:
        stage = self.check_object(raw, path, "A stage")
        for key in stage:
            if key not in STAGES:
                message = f"There is no stage {shorten(key)}.{meant(key, STAGES)}"
                self.refuse((path, key), message, StageNotAllowed)
        if len(stage) != 1:
            self.refuse(path, "A stage is an object with one key: its name.")
        name, value = next(iter(stage.items()))
        if name == "$facet" and is_branch:
            self.refuse((path, name), "$facet does not stand inside of $facet.", StageNotAllowed)
        return name, value

    def _read_facet(self, raw: Any, path: Path) -> dict[str, Any]:
        branches = self.check_object(raw, path, "$facet")
        if not 0 < len(branches) <= FACET_MAX_BRANCHES:
            message = f"$facet has 1 to {FACET_MAX_BRANCHES} branches."
            self.refuse(path, message, QueryTooComplex)
        read, before = {}, self.load
        loads: list[Load] = []
        for name, stages in branches.items():
            self._check_name(name, (path, name))
            self.load = before.in_branch()
            read[name] = self.read_stages(stages, (path, name), FACET_MAX_STAGES, is_branch=True)
            loads.append(self.load)
        self.load = before.with_branches(loads)
        return read

    def _check_name(self, raw: Any, path: Path) -> str:
        """Return the name of a field that a stage makes."""
        if not isinstance(raw, str):
            self.refuse(path, "The name of a field is a string.")
        if flaw := flaw_of_name(raw):
            self.refuse(path, flaw)
        return str(raw)

    def _check_path(self, raw: Any, path: Path, *, may_be_meta: bool = False) -> str:
        if not isinstance(raw, str):
            self.refuse(path, "The path of a field is a string.")
        if (flaw := flaw_of_path(raw)) and not (may_be_meta and raw == "_meta"):
            self.refuse(path, flaw)
        return str(raw)

    def _check_fields(self, raw: Any, path: Path, what: str) -> dict[str, Any]:
        fields = self.check_object(raw, path, what)
        if not fields:
            self.refuse(path, f"{what} takes at least one field.")
        if pair := colliding(list(fields)):
            message = f"The fields {shown(pair[0])} and {shown(pair[1])} overlap."
            self.refuse((path, pair[1]), message)
        return fields

    def _read_match(self, raw: Any, path: Path) -> dict[str, Any]:
        return FilterWalk(self._at).read_filter(raw, path, 1)

    def _read_sort(self, raw: Any, path: Path) -> dict[str, Any]:
        self.check_directions(raw, path, is_nested=False)
        return dict(raw)

    def _read_limit(self, raw: Any, path: Path) -> int:
        if not is_whole(raw, 1, LIMIT_MAX):
            self.refuse(path, f"$limit takes a whole number from 1 to {LIMIT_MAX:,}.")
        return int(raw)

    def _read_skip(self, raw: Any, path: Path) -> int:
        if not is_whole(raw, 0, SKIP_MAX):
            self.refuse(path, f"$skip takes a whole number from 0 to {SKIP_MAX:,}.")
        return int(raw)

    def _read_group(self, raw: Any, path: Path) -> dict[str, Any]:
        group = self.check_object(raw, path, "$group")
        if "_id" not in group:
            self.refuse(path, "$group takes an _id: what to group by, or null.")
        by = self.read_expression(group["_id"], (path, "_id"))
        rest = {name: made for name, made in group.items() if name != "_id"}
        return {"_id": by, **self._read_accumulated(rest, path)}

    def _read_accumulated(self, raw: dict[str, Any], path: Path) -> dict[str, Any]:
        return {
            self._check_name(name, (path, name)): self._read_accumulator(made, (path, name))
            for name, made in raw.items()
        }

    def _read_accumulator(self, raw: Any, path: Path) -> dict[str, Any]:
        made = self.check_object(raw, path, "What a group computes")
        for key in made:
            if key not in ACCUMULATORS:
                message = f"There is no accumulator {shorten(key)}.{meant(key, ACCUMULATORS)}"
                self.refuse((path, key), message, OperatorNotAllowed)
        if len(made) != 1:
            self.refuse(path, "What a group computes is an object with one accumulator.")
        name, argument = next(iter(made.items()))
        if name == "$count" and argument != {}:
            self.refuse((path, name), "The accumulator $count takes {}.")
        return {name: self.read_expression(argument, (path, name))}

    def _read_project(self, raw: Any, path: Path) -> dict[str, Any]:
        fields = self._check_fields(raw, path, "$project")
        read = {}
        for name, value in fields.items():
            at = (path, name)
            is_plain = isinstance(value, bool | int | float)
            self._check_path(name, at, may_be_meta=is_plain)
            read[name] = value if is_plain else self.read_expression(value, at)
        kinds = {
            bool(value) if isinstance(value, bool | int | float) else True
            for name, value in read.items()
            if name != "_id"
        }
        if len(kinds) > 1:
            self.refuse(path, "$project either names fields or leaves some out; not both.")
        return read

    def _read_set(self, raw: Any, path: Path) -> dict[str, Any]:
        fields = self._check_fields(raw, path, "$set")
        return {
            self._check_made(name, (path, name)): self.read_expression(value, (path, name))
            for name, value in fields.items()
        }

    def _check_made(self, name: str, path: Path) -> str:
        if name.startswith("_meta"):
            self.refuse(path, "What is in _meta cannot be set.")
        return self._check_path(name, path)

    def _read_unset(self, raw: Any, path: Path) -> list[str]:
        names = [raw] if isinstance(raw, str) else self.check_array(raw, path, "$unset")
        if not names:
            self.refuse(path, "$unset takes at least one field.")
        found = [
            self._check_path(
                name, (path, index) if isinstance(raw, list) else path, may_be_meta=True
            )
            for index, name in enumerate(names)
        ]
        if pair := colliding(found):
            self.refuse(path, f"The fields {shown(pair[0])} and {shown(pair[1])} overlap.")
        return found

    def _read_unwind(self, raw: Any, path: Path) -> dict[str, Any]:
        if isinstance(raw, str):
            return {"path": self._check_unwound(raw, path)}
        unwind = self.check_object(raw, path, "$unwind")
        self._check_known(unwind, path, UNWIND_FIELDS)
        if "includeArrayIndex" in unwind:
            self._check_name(unwind["includeArrayIndex"], (path, "includeArrayIndex"))
        if not isinstance(unwind.get("preserveNullAndEmptyArrays", False), bool):
            self.refuse((path, "preserveNullAndEmptyArrays"), "It is true or false.")
        return {**unwind, "path": self._check_unwound(unwind.get("path"), (path, "path"))}

    def _check_unwound(self, raw: Any, path: Path) -> str:
        if not isinstance(raw, str) or not raw.startswith("$") or raw.startswith("$$"):
            self.refuse(path, "$unwind takes the path of a field, such as “$tags”.")
        return str(self.read_expression(raw, path))

    def _check_known(self, raw: dict[str, Any], path: Path, known: frozenset[str]) -> None:
        for key in raw:
            if key not in known:
                message = f"There is no {shown(key)} here.{meant(key, known)}"
                self.refuse((path, key), message)

    def _read_bucket(self, raw: Any, path: Path) -> dict[str, Any]:
        bucket = self.check_object(raw, path, "$bucket")
        self._check_known(bucket, path, BUCKET_FIELDS)
        if missing := {"groupBy", "boundaries"} - bucket.keys():
            self.refuse(path, f"$bucket takes {shown(min(missing))}.")
        at = (path, "boundaries")
        boundaries = self.check_array(bucket["boundaries"], at, "“boundaries”")
        if not 2 <= len(boundaries) <= BOUNDARIES_MAX:
            self.refuse(at, f"There are 2 to {BOUNDARIES_MAX:,} boundaries.")
        read = {
            "groupBy": self.read_expression(bucket["groupBy"], (path, "groupBy")),
            "boundaries": [_literal(self.decode(raw, (at, i))) for i, raw in enumerate(boundaries)],
        }
        if "default" in bucket:
            read["default"] = _literal(self.decode(bucket["default"], (path, "default")))
        if "output" in bucket:
            output = self.check_object(bucket["output"], (path, "output"), "“output”")
            read["output"] = self._read_accumulated(output, (path, "output"))
        return read

    def _read_sort_by_count(self, raw: Any, path: Path) -> Any:
        if not (isinstance(raw, dict) and raw) and not (
            isinstance(raw, str) and raw.startswith("$")
        ):
            self.refuse(path, "$sortByCount takes the path of a field, or an expression.")
        return self.read_expression(raw, path)


def _literal(value: Any) -> Any:
    """Return a constant as an expression that MongoDB reads nothing into."""
    return {"$literal": value} if isinstance(value, str | dict | list) else value


STAGES: Mapping[str, Callable[[PipelineWalk, Any, Path], Any]] = {
    "$match": PipelineWalk._read_match,  # noqa: SLF001
    "$group": PipelineWalk._read_group,  # noqa: SLF001
    "$sort": PipelineWalk._read_sort,  # noqa: SLF001
    "$limit": PipelineWalk._read_limit,  # noqa: SLF001
    "$skip": PipelineWalk._read_skip,  # noqa: SLF001
    "$project": PipelineWalk._read_project,  # noqa: SLF001
    "$set": PipelineWalk._read_set,  # noqa: SLF001
    "$unset": PipelineWalk._read_unset,  # noqa: SLF001
    "$unwind": PipelineWalk._read_unwind,  # noqa: SLF001
    "$count": PipelineWalk._check_name,  # noqa: SLF001
    "$bucket": PipelineWalk._read_bucket,  # noqa: SLF001
    "$facet": PipelineWalk._read_facet,  # noqa: SLF001
    "$sortByCount": PipelineWalk._read_sort_by_count,  # noqa: SLF001
}
