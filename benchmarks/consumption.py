"""What processes take: memory, and CPU, as Linux counts it under /proc."""

import os
import threading
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


def _status(path: Path) -> dict[str, str]:
    """Return the fields of a process; none if it is gone."""
    try:
        return dict(line.split(":", 1) for line in path.read_text().splitlines())
    except OSError:
        return {}


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = (_status(path) for path in PROC.glob("[0-9]*/status"))
    return sorted(int(each["Pid"]) for each in found if each and int(each["PPid"]) == pid)


def server_workers(serve: int) -> list[int]:
    """Return the processes that answer requests: what the child of `manage.py serve` has forked."""
    return [worker for server in children(serve) for worker in children(server)]


def memory_mb(pids: list[int]) -> float:
    """Return the resident memory of processes, together."""
    return sum(
        int(_status(PROC / str(pid) / "status").get("VmRSS", "0").split()[0]) / 1024 for pid in pids
    )


def cpu_seconds(pids: list[int]) -> float:
    """Return how long processes were on a CPU, in the kernel too, to a hundredth of a second."""
    total = 0
    for pid in pids:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])  # utime and stime, see proc(5)
    return total / TICKS


class watched:  # noqa: N801 -- reads as a statement
    """Look at the memory of processes every tenth of a second, and add its peak to `peaks`."""

    def __init__(self, pids: list[int], peaks: list[float]) -> None:
        self._pids, self._peaks, self._done = pids, peaks, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        self._peaks.append(memory_mb(self._pids))
        while not self._done.wait(0.1):
            self._peaks[-1] = max(self._peaks[-1], memory_mb(self._pids))
