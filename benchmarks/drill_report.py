"""What every drill counts under its load, what of that is out of bounds, and how it is printed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.drill_check import EXAMPLES, Verification
from benchmarks.drill_client import Tally
from benchmarks.drill_load import LoadResult


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


@dataclass
class LoadReport(ABC):
    """What clients wrote and read while a drill went on; `problems` says what is out of bounds."""

    naming: str
    writers: int
    readers: int
    documents: int
    seconds_under_load: float = 0.0
    writes_acknowledged: int = 0
    reads_answered: int = 0
    documents_checked: int = 0
    lost: int = 0
    resurrected: int = 0
    doubled: int = 0
    phantom: int = 0
    revision_gaps: int = 0
    false_negatives: int = 0
    wrong_reads: int = 0
    busy_answers: int = 0
    unknown_outcomes: int = 0
    sign_ins: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    workers_failed: int = 0
    answers: Timing = field(default_factory=Timing)
    answers_by_method: dict[str, Timing] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """One sentence for each figure that is out of bounds."""
        return [
            *(f"{count} {what}" for what, count in self.faults().items() if count),
            *(what for what, is_wrong in self.conduct().items() if is_wrong),
        ]

    def record_load(self, results: Sequence[LoadResult], beside: Sequence[Tally] = ()) -> Tally:
        """Take what the workers saw, and what was counted beside them; return both together.

        Times of answers are of the workers alone.
        """
        tally = Tally()
        for result in results:
            tally.add(result.tally)
            self.writes_acknowledged += result.acknowledged
            self.reads_answered += result.answered
            self.false_negatives += len(result.false_negatives)
            self.wrong_reads += len(result.wrong_reads)
            self.examples += [*result.false_negatives, *result.wrong_reads]
        self.answers = Timing.of([each for seconds in tally.seconds.values() for each in seconds])
        self.answers_by_method = {
            method: Timing.of(seconds) for method, seconds in sorted(tally.seconds.items())
        }
        for other in beside:
            tally.add(other)
        self.busy_answers, self.unknown_outcomes = tally.busy, tally.unknown
        self.sign_ins, self.errors = tally.sign_ins, dict(tally.errors)
        return tally

    def record_verification(self, found: Verification) -> None:
        """Take what a comparison of all documents with the journal found."""
        self.documents_checked = found.checked
        self.lost, self.resurrected = found.lost, found.resurrected
        self.doubled, self.phantom = found.doubled, found.phantom
        self.revision_gaps = found.revision_gaps
        self.examples = [*self.examples[:EXAMPLES], *found.examples]

    def faults(self) -> dict[str, int]:
        """Return the counts of what must never happen."""
        return {
            "acknowledged writes lost": self.lost,
            "deleted documents resurrected": self.resurrected,
            "documents doubled": self.doubled,
            "documents nobody was promised": self.phantom,
            "false 404 or short pages": self.false_negatives,
            "wrong reads": self.wrong_reads,
            "failed answers": sum(self.errors.values()),
            "worker processes failed": self.workers_failed,
        }

    @abstractmethod
    def conduct(self) -> dict[str, bool]:
        """Return sentences about the run, and whether they are true, which they must not be."""

    def too_little_load(self, least: int) -> dict[str, bool]:
        """Return what is so if a client hardly wrote or read: then nothing has been proved."""
        return {
            "too few writes to prove anything": self.writes_acknowledged < self.writers * least,
            "too few reads to prove anything": self.reads_answered < self.readers * least,
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {**asdict(self), "problems": self.problems}

    def table(self) -> str:
        """Everything, for people."""
        rows = self.figures()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines += [f"  e.g. {example}" for example in self.examples]
        verdict = [f"OUT OF BOUNDS: {problem}" for problem in self.problems]
        return "\n".join([*lines, *(verdict or ["all within bounds"])])

    @abstractmethod
    def figures(self) -> list[tuple[str, object]]:
        """Return what the table shows, line by line."""

    def figures_of_load(self) -> list[tuple[str, object]]:
        """Return the lines about what clients did and what was wrong with it."""
        load = f"{self.writers} writers, {self.readers} readers, {self.documents} documents"
        rate = self.writes_acknowledged / max(self.seconds_under_load, 0.001)
        return [
            ("naming", self.naming),
            ("load", f"{load}, {self.seconds_under_load:.1f} s"),
            ("acknowledged writes", f"{self.writes_acknowledged} ({rate:.0f}/s)"),
            ("answered reads", self.reads_answered),
            ("documents checked", self.documents_checked),
            ("acknowledged writes lost", self.lost),
            ("documents doubled", self.doubled),
            ("deletes resurrected", self.resurrected),
            ("documents unaccounted for", self.phantom),
            ("false 404, short pages", self.false_negatives),
            ("wrong reads", self.wrong_reads),
            ("503 busy, retried", self.busy_answers),
            ("503 outcome_unknown", self.unknown_outcomes),
            ("failed answers", self.errors or 0),
            ("answers", f"{self.answers}  p50 / p99 / longest (count)"),
            *((f"  {method}", timing) for method, timing in self.answers_by_method.items()),
        ]
