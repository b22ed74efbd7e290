"""Organizations with a mongod each: what every further server costs on one machine."""

import os
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import growth_readings as readings
from benchmarks.growth_stage import say
from benchmarks.local_processes import start_mongod

BY = "command:bench"
Costs = tuple[float, float]  # seconds, and those of a processor


def run_clusters(folder: Path, sizes: Sequence[int], stack: ExitStack) -> None:
    """Add servers one by one, each with an organization on it, and measure at the sizes."""
    servers, starts, creates = list[Any](), list[Costs](), list[Costs]()
    for number in range(max(sizes)):
        say(doing=f"starting mongod {number + 1}", done=number)
        began = time.perf_counter()
        server = start_mongod(folder / f"own-{number}")
        stack.callback(server.stop, threading.Event())
        servers.append(server)
        starts.append((time.perf_counter() - began, readings.cpu_seconds([server], alone=True)))
        creates.append(_found(server, number))
        if number + 1 in sizes:
            say(found=_figures(servers, starts, creates))


def _found(server: Any, number: int) -> Costs:
    """Add the cluster and create the organization it is for; return what both cost."""
    from tenancy.access import with_collection
    from tenancy.lifecycle.clusters import add_cluster

    began, before = time.perf_counter(), readings.cpu_seconds([server])
    add_cluster(f"own-{number}", server.uri, by=BY)
    organization = readings.create("cluster", f"Organization {number}")
    costs = (time.perf_counter() - began, readings.cpu_seconds([server]) - before)
    with_collection(organization.pk, "main", lambda main: main.insert(readings.DOCUMENT), by=BY)
    return costs


def _figures(
    servers: Sequence[Any], starts: Sequence[Costs], creates: Sequence[Costs]
) -> dict[str, Any]:
    seconds, cpu = (round(statistics.median(column), 2) for column in zip(*starts, strict=True))
    create, create_cpu = zip(*creates, strict=True)
    found: dict[str, Any] = {
        "kind": "cluster",
        "tenants": len(servers),
        "load": round(os.getloadavg()[0], 1),
        **readings.percentiles("create", [1_000 * each for each in create]),
        "create_cpu_ms": round(1_000 * statistics.median(create_cpu), 3),
        "first_start_s": seconds,
        "first_start_cpu_s": cpu,
        "servers": len(servers),
    }
    found |= readings.read_documents(servers[-1:]) | readings.read_doctor(servers[-1:])
    return found | readings.read_files(servers)
