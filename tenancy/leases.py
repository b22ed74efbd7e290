"""Who holds a lease, and whether that process is still there.

A lease that ran out may be taken by anybody. One whose owner was a process of this machine that
has died may be taken at once, so that a restart need not wait.
"""

import os
import socket
import uuid
from pathlib import Path


def host_identity() -> str:
    """Return what tells one set of process ids from another: host name and pid namespace."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()[:48]}{namespace}"


def _started_at(pid: int) -> str:
    """Return when a process began, in clock ticks since boot; '' where that cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22 of proc(5), counted after the name


def new_owner() -> str:
    """Return a name for one hold of this process: host / process id / its start / random."""
    pid = os.getpid()
    return f"{host_identity()}/{pid}/{_started_at(pid)}/{uuid.uuid4().hex[:12]}"


def is_dead(owner: str) -> bool:
    """Return whether the lease's owner was a process of this machine that no longer exists."""
    host, _, rest = owner.partition("/")
    pid, _, rest = rest.partition("/")
    if host != host_identity() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started_at(int(pid)) != rest.partition("/")[0]
