"""The figures of a move drill, the bounds they are held to, and how they are printed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.drill_report import LoadReport

HEADERS = (
    "move", "documents", "seconds", "copy s", "copied/s", "plain/s", "ratio", "pause ms",
    "longest ms",
)  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """What is still good. A small drill on a busy machine measures no rates.

    The longest answer is that of the times in which something moves; what answers take beside
    them, on the same machine under the same load, is printed to compare it with.
    """

    longest_answer_seconds: float = 1.0
    copy_ratio_min: float = 0.5


@dataclass(slots=True)
class MoveFigures:
    """One move, as its operation and the drill itself saw it."""

    route: str
    documents: int = 0
    seconds: float = 0.0
    copy_seconds: float = 0.0
    copied_per_second: float = 0.0
    plain_per_second: float = 0.0
    pause_ms: int = 0
    longest_answer_seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    compared_differing: int = 0
    digest_kept: bool = False
    proof_counted: bool = False
    indexes_kept: bool = False
    left_at_source: list[str] = field(default_factory=list)
    walked: int = 0
    walk_missed: int = 0
    walk_doubled: int = 0

    @property
    def ratio(self) -> float:
        """How fast was copied, beside a loop that does nothing else under the same load."""
        return self.copied_per_second / self.plain_per_second if self.plain_per_second else 0.0

    def problems(self, bounds: Bounds) -> list[str]:
        """Return one sentence for each figure that is out of bounds."""
        longest, slow = self.longest_answer_seconds, self.ratio < bounds.copy_ratio_min
        checks = {
            f"an answer took {longest:.2f} s": longest >= bounds.longest_answer_seconds,
            f"copied at {self.ratio:.2f} of a plain loop's rate": slow,
            "the digest of what nobody changed is another one": not self.digest_kept,
            "the pause is not in the operation's proof": not self.proof_counted,
            "an index is missing or changed": not self.indexes_kept,
            f"left at the source: {self.left_at_source}": bool(self.left_at_source),
            f"the walk across it missed {self.walk_missed} documents": self.walk_missed > 0,
            f"the walk across it saw {self.walk_doubled} twice": self.walk_doubled > 0,
        }
        return [f"{self.route}: {what}" for what, wrong in checks.items() if wrong]

    def row(self) -> list[str]:
        """What the table shows, under `HEADERS`."""
        return [
            self.route, f"{self.documents}", f"{self.seconds:.1f}", f"{self.copy_seconds:.2f}",
            f"{self.copied_per_second:.0f}", f"{self.plain_per_second:.0f}", f"{self.ratio:.2f}",
            f"{self.pause_ms}", f"{self.longest_answer_seconds * 1000:.0f}",
        ]  # fmt: skip


@dataclass
class MoveDrillReport(LoadReport):
    """What one run of the drill found."""

    moves_wanted: int = 0
    bounds: Bounds = field(default_factory=Bounds)
    moves: list[MoveFigures] = field(default_factory=list)
    witness_wrong: list[str] = field(default_factory=list)
    digest_expected: str = ""
    digest_found: str = ""
    strays: list[str] = field(default_factory=list)
    epoch: int = 0
    failure: str = ""
    longest_without_move_seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        of_moves = [problem for move in self.moves for problem in move.problems(self.bounds)]
        return [*super().problems, *of_moves]

    def as_dict(self) -> dict[str, Any]:
        moves = [asdict(move) | {"ratio": move.ratio} for move in self.moves]
        return super().as_dict() | {"moves": moves}

    def table(self) -> str:
        moves = _columns([HEADERS, *(move.row() for move in self.moves)])
        return "\n".join([*moves, "", super().table()])

    def faults(self) -> dict[str, int]:
        return super().faults() | {
            "revisions off the journal": self.revision_gaps,
            "cursors or ETags that did not survive": len(self.witness_wrong),
            "databases left behind": len(self.strays),
            "answers of unknown outcome": self.unknown_outcomes,
            "tokens that did not survive": self.sign_ins,
        }

    def conduct(self) -> dict[str, bool]:
        return {
            f"a move failed: {self.failure}": bool(self.failure),
            f"{len(self.moves)} of {self.moves_wanted} moves": len(self.moves) < self.moves_wanted,
            f"the placement has had {self.epoch} epochs": self.epoch != self.moves_wanted + 1,
            "the digest of the end is not the expected one": (
                not self.digest_found or self.digest_found != self.digest_expected
            ),
            **self.too_little_load(10 * self.moves_wanted),
        }

    def figures(self) -> list[tuple[str, object]]:
        expected = f"{self.digest_found[:16]}, {self.digest_expected[:16]} expected"
        return [
            *self.figures_of_load(),
            ("revisions off the journal", self.revision_gaps),
            ("digest of the end", expected),
            ("cursors and ETags across", ", ".join(self.witness_wrong[:3]) or "kept"),
            ("tokens", f"{self.sign_ins} renewed" if self.sign_ins else "kept"),
            ("longest without a move", f"{self.longest_without_move_seconds * 1000:.0f} ms"),
        ]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
