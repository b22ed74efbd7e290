"""A capacity plan in plain sentences."""

import math
from collections.abc import Iterator

from tenancy.capacity import CapacityPlan

NEEDED = {
    "SQLite": "SQLite will do while there is one machine.",
    "PostgreSQL": "PostgreSQL (DATABASE_URL): all of it takes more than one machine, or there are "
    "more organizations than were tried in SQLite.",
}
REDIS = {
    True: "needed (REDIS_URL), so that limits hold for all processes together.",
    False: "not needed: one process counts limits in its own memory.",
}
TIMES = (
    "Times are processor time; that of a read is by the clock, and a tenth of all reads took no "
    "longer. Measured on two cores: measure yours (docs/scaling.md)."
)
FEW_MIB = 10_240


def describe_plan(plan: CapacityPlan) -> str:
    """Return a plan as people read it: a recommendation, sizes, times, what limits, warnings."""
    lines = [_recommendation(plan), plan.why, ""]
    lines += [f"{name:<16}{value}" for name, value in _rows(plan)]
    lines += ["", f"What limits first: {plan.limits_first} ({_share(plan)})."]
    lines += [f"Warning: {each}" for each in plan.warnings]
    return "\n".join([*lines, TIMES])


def _recommendation(plan: CapacityPlan) -> str:
    demand = plan.demand
    text = (
        f"{_many(demand.tenants, 'organization')} with {_many(demand.documents, 'document')} "
        f"({demand.documents_each:,.0f} each): place them in kind “{plan.kind}”, on "
        f"{_many(plan.clusters, 'cluster')}"
    )
    if 1 < plan.clusters < demand.tenants:
        text += f" of {plan.tenants_per_cluster:,} organizations"
    return text + "."


def _many(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _rows(plan: CapacityPlan) -> Iterator[tuple[str, str]]:
    servers = f"{_many(plan.clusters, 'replica set')} of three servers each"
    yield "MongoDB", f"{servers} (one will do for trying it out)"
    files = f"{plan.files:,} of each server with connections and reserve"
    yield "Open files", f"{files}; ulimit -n {plan.open_files_limit}"
    yield "Memory", f"{_size(plan.memory_mib)} for each MongoDB server"
    yield "Disk", f"{_size(plan.disk_mib)} for each MongoDB server"
    processes = f"{_many(plan.web_processes, 'process', 'processes')} of 8 threads"
    machines = _many(plan.web_machines, "machine")
    yield "Web", f"{processes} on {machines}, {_size(plan.web_mib)} together"
    yield "Catalog", f"{NEEDED[plan.catalog]} About {_size(plan.catalog_mib)}."
    yield "Redis", REDIS[plan.redis]
    yield "Expected", _expected(plan)


def _expected(plan: CapacityPlan) -> str:
    expected = plan.expected
    return (
        f"about {_time(expected.create_ms)} to create an organization, "
        f"{_time(expected.read_ms)} to read a document, {_time(1_000 * plan.check_s)} for "
        f"check_tenants, {_time(1_000 * expected.restart_s)} to start a server again"
    )


def _share(plan: CapacityPlan) -> str:
    share = plan.shares[plan.limits_first]
    return f"{share:.0%} used" if share <= 1 else f"{share:,.1f} times as much is needed"


def _size(mib: int) -> str:
    return f"{mib:,} MiB" if mib < FEW_MIB else f"{math.ceil(mib / 1024):,} GiB"


def _time(milliseconds: float) -> str:
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"
    seconds = milliseconds / 1_000
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
