"""The figures of a drill, the bounds they are held to, and how they are printed."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST_DATA_ANSWER_SECONDS = 1.5
# A rename that announced a pause would take longer than this: the catalog's staleness (0.5 s)
# and the allowance for clock skew (0.1 s) are waited out before the pause begins.
UNPAUSED_RENAME_SECONDS = 0.6


@dataclass(slots=True)
class Timing:
    """Seconds of many answers."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    longest: float = 0.0

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        ranked = sorted(seconds)
        if not ranked:
            return cls()
        return cls(len(ranked), _rank(ranked, 0.5), _rank(ranked, 0.99), ranked[-1])

    def __str__(self) -> str:
        milliseconds = f"{self.p50 * 1000:.1f} / {self.p99 * 1000:.1f} / {self.longest * 1000:.1f}"
        return f"{milliseconds} ms  ({self.count})"


def _rank(ranked: Sequence[float], share: float) -> float:
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


@dataclass(slots=True)
class DrillReport:
    """What one run of the drill found; `problems` says what is out of bounds."""

    naming: str
    writers: int
    readers: int
    documents: int
    renames_wanted: int
    renames_done: int = 0
    namespace_kept: bool = False
    seconds_under_load: float = 0.0
    writes_acknowledged: int = 0
    reads_answered: int = 0
    documents_checked: int = 0
    lost: int = 0
    resurrected: int = 0
    doubled: int = 0
    phantom: int = 0
    false_negatives: int = 0
    wrong_reads: int = 0
    leftover_collections: list[str] = field(default_factory=list)
    leftovers_gone_after: float = 0.0
    indexes_intact: bool = False
    revision_gaps: int = 0
    busy_answers: int = 0
    unknown_outcomes: int = 0
    sign_ins: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    workers_failed: int = 0
    data: Timing = field(default_factory=Timing)
    data_by_method: dict[str, Timing] = field(default_factory=dict)
    rename: Timing = field(default_factory=Timing)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """One sentence for each figure that is out of bounds."""
        return [*self._wrong_counts(), *self._wrong_conduct(), *self._wrong_load()]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for `--json`."""
        return {**asdict(self), "problems": self.problems}

    def table(self) -> str:
        """Everything, for people."""
        rows = [*self._figures(), *self._timings()]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines += [f"  e.g. {example}" for example in self.examples]
        verdict = [f"OUT OF BOUNDS: {problem}" for problem in self.problems]
        return "\n".join([*lines, *(verdict or ["all within bounds"])])

    def _wrong_counts(self) -> list[str]:
        counts = {
            "acknowledged writes lost": self.lost,
            "deleted documents resurrected": self.resurrected,
            "documents doubled": self.doubled,
            "documents nobody was promised": self.phantom,
            "false 404 or short pages": self.false_negatives,
            "wrong reads": self.wrong_reads,
            "collections left at old names": len(self.leftover_collections),
            "failed answers": sum(self.errors.values()),
            "worker processes failed": self.workers_failed,
        }
        return [f"{count} {what}" for what, count in counts.items() if count]

    def _wrong_conduct(self) -> list[str]:
        checks = {
            "an index is missing or changed": not self.indexes_intact,
            f"an answer took {self.data.longest:.2f} s, over {LONGEST_DATA_ANSWER_SECONDS} s": (
                self.data.longest >= LONGEST_DATA_ANSWER_SECONDS
            ),
        }
        if self.naming == "id":
            checks["naming by id moved the namespace"] = not self.namespace_kept
            checks["naming by id made requests wait"] = self.busy_answers > 0
            paused = self.rename.p50 >= UNPAUSED_RENAME_SECONDS
            checks[f"naming by id renames in {self.rename.p50:.2f} s, as if it paused"] = paused
        else:
            checks["the namespace does not follow the name"] = self.namespace_kept
        return [what for what, wrong in checks.items() if wrong]

    def _wrong_load(self) -> list[str]:
        """A drill that hardly wrote or read has proved nothing."""
        checks = {
            f"{self.renames_done} of {self.renames_wanted} renames done": (
                self.renames_done != self.renames_wanted
            ),
            "too few writes to prove anything": (
                self.writes_acknowledged < self.writers * self.renames_wanted
            ),
            "too few reads to prove anything": (
                self.reads_answered < self.readers * self.renames_wanted
            ),
        }
        return [what for what, wrong in checks.items() if wrong]

    def _figures(self) -> list[tuple[str, object]]:
        load = f"{self.writers} writers, {self.readers} readers, {self.documents} documents"
        left = ", ".join(self.leftover_collections) or "0"
        return [
            ("naming", self.naming),
            ("load", f"{load}, {self.seconds_under_load:.1f} s"),
            ("renames", f"{self.renames_done} of {self.renames_wanted}"),
            ("acknowledged writes", self.writes_acknowledged),
            ("answered reads", self.reads_answered),
            ("documents checked", self.documents_checked),
            ("acknowledged writes lost", self.lost),
            ("deletes resurrected", self.resurrected),
            ("documents doubled", self.doubled),
            ("documents unaccounted for", self.phantom),
            ("false 404, short pages", self.false_negatives),
            ("wrong reads", self.wrong_reads),
            ("left at old names", f"{left} (after {self.leftovers_gone_after:.1f} s)"),
            ("indexes intact", "yes" if self.indexes_intact else "NO"),
            ("revisions off the journal", f"{self.revision_gaps} (not bounded)"),
            ("503 tenant_busy, retried", self.busy_answers),
            ("503 outcome_unknown", self.unknown_outcomes),
            ("signed in again", self.sign_ins),
            ("failed answers", self.errors or 0),
        ]

    def _timings(self) -> list[tuple[str, object]]:
        by_method = [(f"  {name}", timing) for name, timing in self.data_by_method.items()]
        return [
            ("data answers", f"{self.data}  p50 / p99 / longest (count)"),
            *by_method,
            ("rename answers", self.rename),
        ]
