"""What came of fuzzing: a line for each operation while it goes on, a summary at the end."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LINE_MAX = 600
SUMMARY = " SUMMARY "
FIRST = re.compile(r"=+ (ERRORS|FAILURES) =+")


class Report:
    """Counts what was sent to each operation, how it was answered and what was against it."""

    def __init__(self, operations: Sequence[str], examples: int) -> None:
        self.examples = examples
        self.sent: Counter[str] = Counter(dict.fromkeys(operations, 0))
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.answers: dict[str, Counter[str]] = {name: Counter() for name in operations}
        self.broken: set[str] = set()
        self.unexplained: list[str] = []
        self._troubled: set[Path] = set()
        self.started = time.monotonic()
        self._read: dict[Path, int] = {}

    @property
    def lacking(self) -> list[str]:
        """What was sent too little, or could not be fuzzed to the end."""
        return [name for name, n in self.sent.items() if n < self.examples or name in self.broken]

    def begin(self, operations: Sequence[str]) -> None:
        """Fuzz some operations, perhaps again: what could not be made up then may be now."""
        self.broken -= set(operations)

    def end(self, folder: Path, status: int) -> None:
        """Note how a process ended, and print what it says if that was badly."""
        if status:
            print(_shortened((folder / "output").read_text(errors="replace")))
        if status and folder not in self._troubled:
            self.unexplained.append(f"{folder.name} with {status}")

    def read(self, folders: Sequence[Path]) -> None:
        """Read what the processes have counted since, and print a line for each operation."""
        for folder in folders:
            if (counts := folder / "counts").exists():
                lines = counts.read_text().splitlines()
                for line in lines[self._read.get(counts, 0) :]:
                    self._add(json.loads(line), folder)
                self._read[counts] = len(lines)

    def _add(self, line: dict[str, Any], folder: Path) -> None:
        name = line["operation"]
        self.sent[name] += line["sent"]
        self.failed[name] += line["failed"]
        self.answers[name].update(line["answers"])
        if not line["is_done"]:
            self.broken.add(name)
        if not line["is_done"] or line["failed"]:
            self._troubled.add(folder)
        if line["sent"]:
            self._print(line)

    def _print(self, line: dict[str, Any]) -> None:
        phase = line["phase"].lower()
        self.done[phase] += 1
        seconds = time.monotonic() - self.started
        answers = " ".join(f"{status}:{n}" for status, n in sorted(line["answers"].items()))
        print(
            f"[{seconds:4.0f} s, {phase} {self.done[phase]}/{len(self.sent)}] {line['operation']}: "
            f"{line['sent']} sent, {line['failed']} failed; {answers}",
            flush=True,
        )

    def finish(self, seed: int) -> int:
        """Print the summary; return the exit status."""
        few = sorted(name for name, n in self.sent.items() if n < self.examples)
        failed = sorted(name for name, n in self.failed.items() if n)
        unserved = sorted(
            name for name, answers in self.answers.items()
            if not any(status.startswith("2") for status in answers)
        )  # fmt: skip
        for words, names in (
            (f"Sent fewer than {self.examples} examples", few),
            ("Could not be fuzzed to the end", sorted(self.broken)),
            ("Failed", failed),
            ("Ended badly", self.unexplained),
            ("Nothing was served (of no consequence for the exit status)", unserved),
        ):
            if names:
                print(f"{words}: {', '.join(names)}.")
        fewest = min(self.sent.values(), default=0)
        print(
            f"Seed {seed}: {len(self.sent)} operations x at least {fewest} examples = "
            f"{self.sent.total():,} in {time.monotonic() - self.started:.0f} s; "
            f"{self.failed.total()} failed, in {len(failed)} operations."
        )
        is_good = self.sent and not (few or failed or self.broken or self.unexplained)
        print("PASSED" if is_good else "FAILED", flush=True)
        return 0 if is_good else 1


def _shortened(output: str) -> str:
    """Return the failures in what schemathesis printed, no line of it too long to be read."""
    found = FIRST.search(output)
    end = output.rfind(SUMMARY)
    text = output[found.start() if found else 0 : end if found and end > 0 else None]
    return "\n".join(
        line if len(line) <= LINE_MAX else f"{line[:LINE_MAX]}… ({len(line):,} characters)"
        for line in text.splitlines()
    )
