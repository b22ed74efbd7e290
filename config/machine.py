"""What this machine gives, and how many processes and threads that is worth.

README.md and docs/deployment.md say why the numbers are what they are; `benchmarks/processes.py`
measures them.
"""

import os
from pathlib import Path
from typing import NamedTuple

CGROUP = Path("/sys/fs/cgroup")
# A process with its caches; one that stays below is not killed for its memory.
PROCESS_BYTES = 256 * 1024**2
# More of them hand the interpreter lock about; fewer leave it idle while MongoDB is slow.
THREADS = 8
# Quick requests wait in the server; of slow ones, at 100 ms, the last in line waits half a second.
PLACES_PER_THREAD = 4


class Sizes(NamedTuple):
    """Processes; threads that answer and places in line of each; argon2 computations of all."""

    processes: int
    threads: int
    queue: int
    hashers: int


def sizes(
    *, processes: int | None, threads: int | None, queue: int | None, hashers: int | None,
    may_be_several: bool,
) -> Sizes:  # fmt: skip
    """Return what is used: what is given, and what suits this machine where None is.

    One process unless `may_be_several`; then one for each core, as far as memory goes.
    """
    room = min(cores(), max(1, memory_bytes() // PROCESS_BYTES))
    processes = (room if may_be_several else 1) if processes is None else processes
    threads = THREADS if threads is None else threads
    queue = threads * PLACES_PER_THREAD if queue is None else queue
    hashers = max(2, cores()) if hashers is None else hashers
    return Sizes(processes, threads, queue, hashers)


def cores(folder: Path = CGROUP) -> int:
    """Return how many cores this process may use: its affinity, and the quota of its cgroup."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _numbers(folder / "cpu.max", folder / "cpu" / "cpu.cfs_quota_us"), 100_000
    if len(quota) == 2:
        period = quota[1]
    elif period_file := _numbers(folder / "cpu" / "cpu.cfs_period_us"):
        period = period_file[0]
    return min(own, max(1, round(quota[0] / period))) if quota and quota[0] > 0 else own


def memory_bytes(folder: Path = CGROUP) -> int:
    """Return how much memory this process may use: the machine's, and the limit of its cgroup."""
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _numbers(folder / "memory.max", folder / "memory" / "memory.limit_in_bytes")
    return min(own, limit[0]) if limit else own


def _numbers(*files: Path) -> list[int]:
    """Return the numbers in the first of the files that says some; `max` is none."""
    for file in files:
        try:
            return [int(word) for word in file.read_text().split()]
        except (OSError, ValueError):
            continue
    return []
