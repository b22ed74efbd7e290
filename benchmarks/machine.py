"""What a benchmark ran on, and how busy that was: figures of a busy machine say little."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pymongo import MongoClient

LOOK_SECONDS = 1.0
# Of all cores, before anything was started.
MAX_BUSY, MAX_STOLEN = 0.15, 0.03
PACKAGES = ("django", "djangorestframework", "granian", "orjson", "pymongo")
# The columns of `cpu` in /proc/stat, see proc(5).
IDLE, IO_WAIT, STEAL = 3, 4, 7


class Load:
    """How much of all cores others use, from when it is made; guests are within user and nice."""

    def __init__(self) -> None:
        self._before = _ticks()

    def busy(self) -> float:
        """Return the share of the time in which cores were not idle, since then."""
        passed = self._passed()
        return 1 - (passed[IDLE] + passed[IO_WAIT]) / max(sum(passed), 1)

    def stolen(self) -> float:
        """Return the share of the time that the host gave to other machines, since then."""
        passed = self._passed()
        return passed[STEAL] / max(sum(passed), 1)

    def _passed(self) -> list[int]:
        return [now - before for now, before in zip(_ticks(), self._before, strict=True)]


def _ticks() -> list[int]:
    return [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def describe(uri: str = "") -> dict[str, Any]:
    """Return the machine, the versions of what is measured, and the load averages."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **({"mongod": _mongod(uri)} if uri else {}),
        "load": list(os.getloadavg()),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _mongod(uri: str) -> str:
    with MongoClient[dict[str, Any]](uri) as client:
        return str(client.server_info()["version"])


def look() -> str:
    """Look for a second how busy the machine is. Return a warning, or '' if it is quiet."""
    load = Load()
    time.sleep(LOOK_SECONDS)
    busy, stolen = load.busy(), load.stolen()
    if busy <= MAX_BUSY and stolen <= MAX_STOLEN:
        return ""
    return (
        f"BUSY: {busy:.0%} of the cores are in use before anything is measured, {stolen:.0%} are "
        "stolen: absolute figures will be too low, and spreads wide."
    )
