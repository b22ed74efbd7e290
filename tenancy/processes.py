"""Child processes that end when their parent does, however it ends.

On Linux the kernel signals them even after a kill -9 of the parent. Elsewhere they outlive that,
and whoever starts next finds them.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import IO

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_SECONDS = 0.02

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(death_signal: signal.Signals, parent: int) -> None:
    """Have this process signalled when the thread of `parent` that started it ends."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != parent:
        os._exit(1)  # the parent ended before the kernel knew of the wish


def raise_file_limit() -> None:
    """Raise this process's limit of open files as far as it may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS reports a limit that it does not grant
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start_child(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own: a Ctrl-C at the terminal is for the parent alone.

    Call from the main thread: to the kernel the parent is the thread. The child gets
    `death_signal` when the parent ends.
    """
    parent = os.getpid()

    def prepare() -> None:
        raise_file_limit()
        die_with_parent(death_signal, parent)

    return subprocess.Popen(  # noqa: S603 -- the commands are our own
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 -- two system calls, no lock, no import
    )


def stop_child(process: subprocess.Popen[bytes], *, grace_seconds: float, hurry: Event) -> bool:
    """Ask a child to end, and kill it after the grace or once `hurry` is set.

    Return whether it ended by itself.
    """
    deadline = time.monotonic() + grace_seconds
    with suppress(ProcessLookupError):
        process.terminate()
    while process.poll() is None and time.monotonic() < deadline and not hurry.is_set():
        time.sleep(POLL_SECONDS)
    ended = process.poll() is not None
    if not ended:
        kill_group(process)
    process.wait()
    return ended


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child of `start_child` and whatever it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
