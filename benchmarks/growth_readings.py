"""What is measured of a population: creating, reading, checking, memory, files, restarts.

Times are milliseconds or seconds of one caller, one call after another; memory and files are MiB
and counts at that moment. `..._cpu_...` is the processor time of this process and of mongod, which
says what something costs on a machine that has other things to do. The caller has set Django up.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import consumption
from benchmarks.local_processes import SERVE, free_port, start_server, stop_process
from benchmarks.tenant_growth_rows import Reader
from benchmarks.tenant_population import DOCUMENT, sign_in_owner
from tenancy.mongo.embedded import EmbeddedServer

Servers = Sequence[EmbeddedServer]

BY = "command:bench"
CREATED = 100
HOT = 10
WARM_READS = 600
COLD_READS = 400
HTTP_TENANTS = 120
MIB = 1024**2
SEED = 20_000  # the same tenants are drawn in every run


def percentiles(name: str, milliseconds: Sequence[float]) -> dict[str, float]:
    """Return the tenth, fiftieth and 95th percentile.

    The first is near what a call takes that nothing else of the machine came in the way of.
    """
    ordered = sorted(milliseconds)
    return {
        f"{name}_p{share}_ms": round(ordered[int(len(ordered) * share / 100)], 3)
        for share in (10, 50, 95)
    }


def timed(call: Callable[[Any], Any], things: Iterable[Any]) -> list[float]:
    """Return how many milliseconds each call took."""
    took = []
    for thing in things:
        began = time.perf_counter()
        call(thing)
        took.append(1_000 * (time.perf_counter() - began))
    return took


def cpu_seconds(servers: Servers, *, alone: bool = False) -> float:
    """Return the processor time that mongods, and unless `alone` this process, have used."""
    used = consumption.cpu_seconds([pid_of(each) for each in servers])
    return used + (0.0 if alone else time.process_time())


def measured(
    name: str, servers: Servers, call: Callable[[Any], Any], things: Sequence[Any]
) -> dict[str, float]:
    """Call with each thing; return the percentiles and the processor time of one call."""
    before = cpu_seconds(servers)
    found = percentiles(name, timed(call, things))
    cpu = 1_000 * (cpu_seconds(servers) - before) / len(things)
    return found | {f"{name}_cpu_ms": round(cpu, 3)}


def create(kind: Any, name: str) -> Any:
    """Create one organization with an owner, as signing up does."""
    from accounts.models import Membership, User
    from accounts.roles import Role
    from tenancy import lifecycle

    def add_owner(organization: Any) -> None:
        user = User.objects.create(email=f"{organization.slug}@example.com", password="!")
        Membership.objects.create(user=user, organization=organization, role=Role.OWNER)

    return lifecycle.create_organization(name, by=BY, kind=kind, on_reserve=add_owner)


def read_creating(kind: str, servers: Servers, numbers: range) -> dict[str, float]:
    """Create organizations of these numbers through the product, each with its first document."""
    made: list[Any] = []
    before = catalog_bytes()
    found = measured(
        "create", servers, lambda n: made.append(create(kind, f"Organization {n}")), numbers
    )
    grown = (catalog_bytes() - before) / len(numbers)
    for organization in made:
        _with_main(organization.pk, lambda main: main.insert(DOCUMENT))
    return found | {"catalog_bytes_each": round(grown)}


def read_documents(servers: Servers, prefix: str = "") -> dict[str, float]:
    """Read by id through the data plane: ten tenants in use, and many that nobody has asked for."""
    from tenancy import catalog
    from tenancy.models import Organization

    draw = random.Random(SEED)
    everybody = sorted(Organization.objects.values_list("pk", flat=True))
    hot, cold = (draw.sample(everybody, min(len(everybody), most)) for most in (HOT, COLD_READS))

    def read(pk: Any) -> None:
        _with_main(pk, lambda main: main.get(DOCUMENT["_id"]))

    def read_unknown(pk: Any) -> None:
        catalog.forget_tenant(pk)
        read(pk)

    found = measured(f"{prefix}cold", servers, read_unknown, cold)
    if not prefix:
        timed(read, hot)
        found |= measured("warm", servers, read, hot * (WARM_READS // HOT))
    return found


def _with_main(pk: Any, call: Callable[[Any], Any]) -> None:
    from tenancy.access import with_collection

    with_collection(pk, "main", call, by=BY)


def read_over_http(settings: dict[str, str], log: Path) -> dict[str, float]:
    """Read documents of some hundred tenants in turn from a server of their own; its memory."""
    from tenancy.models import Organization

    rows = list(Organization.objects.order_by("pk")[:HTTP_TENANTS])
    tokens = [sign_in_owner(each) for each in rows]
    port = free_port()
    server = start_server(SERVE, {**settings, "PORT": str(port)}, log)
    try:
        reader = Reader(port, tokens)
        reader.read(len(tokens))
        first, reader.milliseconds = reader.milliseconds, []
        reader.read(2 * len(tokens))
        reader.close()
        return percentiles("http_first", first) | percentiles("http", reader.milliseconds) | {
            "service_mib": round(consumption.memory_mb(consumption.server_workers(server.pid)))
        }  # fmt: skip
    finally:
        stop_process(server)


def read_doctor(servers: Servers) -> dict[str, float]:
    """Return what `check_tenants` takes. Raises RuntimeError when it finds something."""
    from tenancy.doctor import check_tenants

    began, before = time.perf_counter(), cpu_seconds(servers)
    found = check_tenants(by=BY)
    seconds, cpu = time.perf_counter() - began, cpu_seconds(servers) - before
    if found.findings:
        raise RuntimeError(f"The doctor found {found.findings[0]}.")
    return {"doctor_s": round(seconds, 2), "doctor_cpu_s": round(cpu, 2)}


def read_files(servers: Servers) -> dict[str, float]:
    """Return what all mongods hold: memory, open files, files and bytes on disk."""
    pids = [pid_of(each) for each in servers]
    found = [each.stat() for server in servers for each in server.data.iterdir() if each.is_file()]
    return {
        "mongod_mib": round(consumption.memory_mb(pids)),
        "mongod_open_files": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        "data_files": len(found),
        "data_mib": round(sum(each.st_blocks * 512 for each in found) / MIB),
        "catalog_mib": round(catalog_bytes() / MIB, 1),
    }


def read_restarts(servers: Servers) -> dict[str, float]:
    """Return the seconds that a stop, a start and a start after a kill -9 of the first take.

    It is the fullest of them.
    """
    server = servers[0]
    began = time.perf_counter()
    server.stop(threading.Event())
    found = {"stop_s": time.perf_counter() - began, "start_s": _start(server)}
    found["start_cpu_s"] = cpu_seconds([server], alone=True)
    os.kill(pid_of(server), signal.SIGKILL)
    server.stop(threading.Event())
    found["start_after_kill_s"] = _start(server)
    found["start_after_kill_cpu_s"] = cpu_seconds([server], alone=True)
    return {name: round(seconds, 2) for name, seconds in found.items()}


def _start(server: EmbeddedServer) -> float:
    began = time.perf_counter()
    server.launch()
    server.wait_until_primary(threading.Event())
    return time.perf_counter() - began


def pid_of(server: EmbeddedServer) -> int:
    """Return the process id of a mongod that we started."""
    return int((server.data / "mongod.lock").read_text())


def catalog_bytes() -> int:
    """Return the bytes of pages in use of a catalog in SQLite."""
    from django.db import connection

    with connection.cursor() as cursor:
        pages = cursor.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        )
        return int(pages.fetchone()[0])
