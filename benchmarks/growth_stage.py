"""One kind of placement, grown and measured in a process of its own. `benchmarks.growth` runs it.

Prints a JSON object in each line: what is being done (`doing`, `done`), and what was measured
(`found`). Most organizations are written in bulk, past the product; the last ones of each size are
created through it, one after another, and those are what creating is measured by.
"""

import argparse
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

OWN_FILES = 2  # a collection, and the index of its `_id`
ROUNDED = 100
SERVERS_MAX = 4


def say(**what: Any) -> None:
    """Print a line for whoever started this."""
    print(json.dumps(what), flush=True)


def set_up(folder: Path, uri: str) -> dict[str, str]:
    """Set Django up with an empty catalog; return the settings of a server beside it."""
    settings = {
        "DJANGO_SETTINGS_MODULE": "config.settings", "TENANTRY_HOME": str(folder / "home"),
        "DATABASE_URL": f"sqlite:///{folder}/catalog.sqlite3", "MONGODB_URI": uri,
        "TENANCY_DATABASE": "growth", "RATE_LIMITS": "off", "ACCESS_TOKEN_MINUTES": "600",
        "LOG_LEVEL": "ERROR",
    }  # fmt: skip
    os.environ |= settings
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return settings


def room_for(kind: str) -> tuple[int, str]:
    """Return how many more organizations the product takes, and how full the last cluster is."""
    from tenancy.lifecycle.capacity import capacity_of, describe_capacity, forget_loads
    from tenancy.models import Cluster

    if kind == "shared":
        return 10**9, ""
    forget_loads()
    Cluster.objects.get_or_create(alias=Cluster.DEFAULT)
    room, said = 0, ""
    for cluster in Cluster.objects.order_by("pk"):
        capacity = capacity_of(cluster)
        left = capacity.ceiling - capacity.used
        if capacity.files and capacity.max_files:
            left = min(left, capacity.max_files - capacity.files)
        room, said = room + max(left // OWN_FILES, 0), describe_capacity(capacity)
    return room, said


class Growing:
    """A population that becomes larger, and is measured at every size.

    `start` starts a further server and returns it.
    """

    def __init__(
        self, kind: str, server: Any, settings: dict[str, str], folder: Path,
        start: Callable[[str], Any],
    ) -> None:  # fmt: skip
        self.kind, self.settings, self.folder, self._start = kind, settings, folder, start
        self.servers = [server]
        self.tenants = 0

    def add_server(self) -> bool:
        """Add a cluster, which takes organizations from now on; False if there are enough."""
        from tenancy.lifecycle.clusters import add_cluster

        if len(self.servers) >= SERVERS_MAX:
            return False
        name = f"more-{len(self.servers)}"
        say(doing="starting one more mongod", done=self.tenants)
        self.servers.append(self._start(name))
        add_cluster(name, self.servers[-1].uri, by="command:bench")
        return True

    def grow(self, size: int, seconds: float) -> dict[str, Any]:
        """Populate up to `size`, the last ones through the product. Return how creating went."""
        from benchmarks import growth_readings as readings
        from benchmarks.tenant_population import BATCH, populate

        begun, last = time.monotonic(), min(readings.CREATED, max(size - self.tenants, 1))
        while self.tenants < size - last and time.monotonic() - begun < seconds:
            numbers = range(self.tenants, min(self.tenants + BATCH, size - last))
            self.tenants += len(populate(self.kind, numbers))
            say(doing=f"populating {self.tenants:,} of {size:,}", done=self.tenants)
        sample = range(self.tenants, min(self.tenants + last, size))
        found = readings.read_creating(self.kind, self.servers, sample)
        self.tenants = sample.stop
        return found

    def measure(self) -> Iterator[dict[str, Any]]:
        """Measure one thing after the other; the restarts come last."""
        from benchmarks import growth_readings as readings

        log = self.folder / f"server-{self.tenants}.log"
        for doing, read in {
            "reading": lambda: readings.read_documents(self.servers),
            "reading over HTTP": lambda: readings.read_over_http(self.settings, log),
            "checking": lambda: readings.read_doctor(self.servers),
            "counting files": lambda: readings.read_files(self.servers),
            "restarting": lambda: readings.read_restarts(self.servers),
            "reading once more": lambda: readings.read_documents(self.servers, "restarted_"),
        }.items():
            say(doing=f"{doing} at {self.tenants:,}", done=self.tenants)
            yield read()


def run(options: argparse.Namespace, growing: Growing) -> None:
    """Grow to each size in the time there is, on as many servers as it needs, and measure."""
    begun = time.monotonic()
    for size in options.sizes:
        while growing.tenants < size:
            left = options.seconds - (time.monotonic() - begun)
            if left <= 0:
                say(stopped=f"{size:,} were not reached in {options.seconds:.0f} s.", size=size)
                return
            room, full = room_for(options.kind)
            wanted = min(size, growing.tenants + room)
            wanted = size if wanted == size else (wanted - ROUNDED) // ROUNDED * ROUNDED
            if wanted > growing.tenants:
                _grow_and_measure(options, growing, wanted, left, is_size=wanted == size)
            elif not growing.add_server():
                why = f"the product refuses {size:,} (cluster_full); {full}"
                say(stopped=f"Ended at {growing.tenants:,}: {why}.", size=size)
                return


def _grow_and_measure(
    options: argparse.Namespace, growing: Growing, wanted: int, seconds: float, *, is_size: bool
) -> None:
    """Grow, and measure the sizes that were asked for, and the most that fits the first server."""
    found = {"kind": options.kind, "load": round(os.getloadavg()[0], 1)}
    found |= growing.grow(wanted, seconds)
    is_last = growing.tenants < wanted  # its time was over
    is_measured = is_size or is_last or len(growing.servers) == 1
    if is_measured and growing.tenants not in options.skip:
        for part in growing.measure():
            found |= part
        say(found={"tenants": growing.tenants, "servers": len(growing.servers), **found})


def main() -> None:
    """Start a mongod in the folder that was given, grow and measure, end it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--skip", type=int, nargs="*", default=[], help="sizes not to measure")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the mongod inherits it

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through what ends the servers

    from benchmarks.local_processes import start_mongod

    with ExitStack() as stack:
        server = start_mongod(options.folder / "mongod")
        stack.callback(lambda: server.stop(threading.Event()))
        settings = set_up(options.folder, server.uri)
        if options.kind == "cluster":
            from benchmarks.growth_clusters import run_clusters

            run_clusters(options.folder, options.sizes, stack)
        else:

            def start(name: str) -> Any:
                more = start_mongod(options.folder / name)
                stack.callback(lambda: more.stop(threading.Event()))
                return more

            run(options, Growing(options.kind, server, settings, options.folder, start))


if __name__ == "__main__":
    main()
