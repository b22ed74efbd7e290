"""The figures of a rename drill, and the bounds they are held to."""

from dataclasses import dataclass, field

from benchmarks.drill_report import LoadReport, Timing

LONGEST_DATA_ANSWER_SECONDS = 1.5
# A rename that announced a pause would take longer than this: the catalog's staleness (0.5 s)
# and the allowance for clock skew (0.1 s) are waited out before the pause begins.
UNPAUSED_RENAME_SECONDS = 0.6


@dataclass
class RenameDrillReport(LoadReport):
    """What one run of the drill found."""

    renames_wanted: int = 0
    renames_done: int = 0
    namespace_kept: bool = False
    leftover_collections: list[str] = field(default_factory=list)
    leftovers_gone_after: float = 0.0
    indexes_intact: bool = False
    rename: Timing = field(default_factory=Timing)

    def faults(self) -> dict[str, int]:
        left = {"collections left at old names": len(self.leftover_collections)}
        return super().faults() | left

    def conduct(self) -> dict[str, bool]:
        return {
            "an index is missing or changed": not self.indexes_intact,
            f"an answer took {self.answers.longest:.2f} s, over {LONGEST_DATA_ANSWER_SECONDS} s": (
                self.answers.longest >= LONGEST_DATA_ANSWER_SECONDS
            ),
            f"{self.renames_done} of {self.renames_wanted} renames done": (
                self.renames_done != self.renames_wanted
            ),
            **self._conduct_of_naming(),
            **self.too_little_load(self.renames_wanted),
        }

    def _conduct_of_naming(self) -> dict[str, bool]:
        if self.naming != "id":
            return {"the namespace does not follow the name": self.namespace_kept}
        paused = self.rename.p50 >= UNPAUSED_RENAME_SECONDS
        return {
            "naming by id moved the namespace": not self.namespace_kept,
            "naming by id made requests wait": self.busy_answers > 0,
            f"naming by id renames in {self.rename.p50:.2f} s, as if it paused": paused,
        }

    def figures(self) -> list[tuple[str, object]]:
        left = ", ".join(self.leftover_collections) or "0"
        return [
            *self.figures_of_load(),
            ("renames", f"{self.renames_done} of {self.renames_wanted}"),
            ("left at old names", f"{left} (after {self.leftovers_gone_after:.1f} s)"),
            ("indexes intact", "yes" if self.indexes_intact else "NO"),
            ("revisions off the journal", f"{self.revision_gaps} (not bounded)"),
            ("signed in again", self.sign_ins),
            ("rename answers", self.rename),
        ]
