"""How much memory a process has while something is done."""

import threading
from pathlib import Path


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue
        if pid in (int(fields["Pid"]), int(fields["PPid"])) and "VmRSS" in fields:
            total += int(fields["VmRSS"].split()[0]) / 1024
    return total


class watched:  # noqa: N801 -- reads as a statement
    """Look at the memory of a process every tenth of a second, and add its peak to `peaks`."""

    def __init__(self, pid: int, peaks: list[float]) -> None:
        self._pid, self._peaks, self._done = pid, peaks, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        self._peaks.append(memory_mb(self._pid))
        while not self._done.wait(0.1):
            self._peaks[-1] = max(self._peaks[-1], memory_mb(self._pid))
