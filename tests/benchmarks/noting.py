"""A load that does nothing but say, in a file, that it had its turn."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_process import Turn


@dataclass(frozen=True)
class NotingPlan:
    """Notes its name and how many seconds it was given; says that a request took so long."""

    name: str
    path: Path
    latency: float = 0.01

    def start(self):
        return self._run

    def _run(self, seconds):
        with self.path.open("a") as file:
            file.write(f"{self.name}{seconds:g} ")
        turn = Turn(seconds=1.0, cpu_seconds=0.5)
        turn.latencies.extend([self.latency] * round(1 / self.latency))
        return turn
