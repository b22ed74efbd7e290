"""Give processes a share of a core each: what they would have on slower cores of their own.

    with limited([pid, pid], share=0.5):
        ...

On a machine with few cores the load and the database take what further processes of a server would
need, and measure themselves. With shares there is room for all of them. Linux, by the cgroup
controller `cpu`, version 1 or 2; needs the right to make groups, as root mostly has it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
# Short, so that a process that has had its share waits for less than a few requests take.
PERIOD_US = 10_000
SHARE_MIN = 0.1


class SharesUnavailable(Exception):
    """This machine does not let one limit processes."""


@contextmanager
def limited(pids: Sequence[int], share: float) -> Iterator[list[Path]]:
    """Let each of these processes have so much of a core; give their groups.

    Raises SharesUnavailable, also for a share of less than a tenth.
    """
    if not pids or share < SHARE_MIN:
        raise SharesUnavailable(f"{len(pids)} processes cannot have {share:g} of a core each.")
    with ExitStack() as stack:
        try:
            groups = [stack.enter_context(_group(pid, share)) for pid in pids]
        except OSError as error:
            raise SharesUnavailable(f"There is no group with a share of a core: {error}") from error
        yield groups


@contextmanager
def _group(pid: int, share: float) -> Iterator[Path]:
    is_version_1 = (GROUPS / "cpu").is_dir()
    root = GROUPS / "cpu" if is_version_1 else GROUPS
    home = root / _home_of(pid, "cpu" if is_version_1 else "").lstrip("/")
    group = root / f"tenantry-bench-{pid}"
    group.mkdir(exist_ok=True)  # one that was killed may have left it
    try:
        quota = round(share * PERIOD_US)
        if is_version_1:
            _write(group / "cpu.cfs_period_us", PERIOD_US)
            _write(group / "cpu.cfs_quota_us", quota)
        else:
            _write(group / "cpu.max", f"{quota} {PERIOD_US}")
        _write(group / "cgroup.procs", pid)
        yield group
    finally:
        with suppress(OSError):  # nobody is in it, or what is in it cannot be put elsewhere
            for each in (group / "cgroup.procs").read_text().split():
                _write((home if home.is_dir() else root) / "cgroup.procs", each)
        with suppress(OSError):
            group.rmdir()


def _write(path: Path, value: object) -> None:
    """Write into a file that the kernel has put there; a folder of another kind has none."""
    with path.open("r+") as file:
        file.write(str(value))


def _home_of(pid: int, controller: str) -> str:
    """Return the group that a process is in."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"
