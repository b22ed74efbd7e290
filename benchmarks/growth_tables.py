"""What was measured about growth as tables of `docs/scaling.md`, and as points to plan by.

`python -m benchmarks.plots` writes both; a test compares them with `docs/measurements/growth.json`.
"""

import re
from collections.abc import Callable
from typing import Any

from benchmarks.local_processes import PROJECT

SCALING = PROJECT / "docs" / "scaling.md"
POINTS = PROJECT / "tenancy" / "capacity_points.py"
KINDS = ("shared", "collection", "database", "cluster")
Figure = dict[str, Any]

POINTS_HEAD = '''\
"""The points between which `plan_capacity` interpolates: written by `python -m benchmarks.plots`.

Each: tenants on one server; ms to create one; ms to read a document of a tenant in use; seconds of
check_tenants, and of starting mongod again; MiB of mongod. Reading is the tenth percentile of what
it took by the clock, the other times are processor time: what is least changed by other work on the
machine.
"""

from tenancy.names import Kind

# fmt: off
POINTS: dict[Kind, tuple[tuple[int, float, float, float, float, float], ...]] = {
'''


def points_module(results: dict[str, Any]) -> str:
    """Return the module with the points. Of kind `cluster` each tenant has a server to itself."""
    text = POINTS_HEAD
    for kind in KINDS:
        text += f'    "{kind}": (\n'
        for each in results["figures"]:
            if each["kind"] == kind and _is_point(each):
                text += f"        {_point(each)},\n"
        text += "    ),\n"
    return text + "}\n"


def _is_point(each: Figure) -> bool:
    """Return whether it tells what one server bears."""
    return bool(each["servers"] == 1 or each["kind"] == "cluster")


def _point(each: Figure) -> tuple[float, ...]:
    servers = each["tenants"] if each["kind"] == "cluster" else 1
    restart = each.get("start_cpu_s", each.get("first_start_cpu_s"))
    return (
        each["tenants"], round(each["create_cpu_ms"], 1), round(each["warm_p10_ms"], 2),
        max(each["doctor_cpu_s"], 0.01), restart, round(each["mongod_mib"] / servers),
    )  # fmt: skip


def _times(each: Figure, name: str) -> str:
    """Return milliseconds: p10, p50 and p95."""
    if f"{name}_p10_ms" not in each:
        return "-"
    return " / ".join(f"{each[f'{name}_p{share}_ms']:.3g}" for share in (10, 50, 95))


def _start(each: Figure) -> str:
    name = "start" if "start_s" in each else "first_start"
    return f"{each[f'{name}_s']} ({each.get(f'{name}_cpu_s', '-')})"


# Of the two tables of a kind: heading -> what is in the cell.
TABLES: dict[str, dict[str, Callable[[Figure], str]]] = {
    "times": {
        "tenants": lambda each: f"{each['tenants']:,}",
        "create": lambda each: _times(each, "create"),
        "CPU": lambda each: f"{each.get('create_cpu_ms', '-')}",
        "read": lambda each: _times(each, "warm"),
        "first read": lambda each: _times(each, "cold"),
        "CPU of it": lambda each: f"{each['cold_cpu_ms']}",
        "over HTTP": lambda each: _times(each, "http"),
        "load": lambda each: f"{each['load']:.0f}",
    },
    "sizes": {
        "tenants": lambda each: f"{each['tenants']:,}",
        "servers": lambda each: f"{each['servers']}",
        "check, s (CPU)": lambda each: f"{each['doctor_s']} ({each['doctor_cpu_s']})",
        "stop, s": lambda each: f"{each.get('stop_s', '-')}",
        "start, s (CPU)": _start,
        "after kill -9, s": lambda each: f"{each.get('start_after_kill_s', '-')}",
        "mongod, MiB": lambda each: f"{each['mongod_mib']:,}",
        "open files": lambda each: f"{each['mongod_open_files']:,}",
        "files": lambda each: f"{each['data_files']:,}",
        "on disk, MiB": lambda each: f"{each['data_mib']:,}",
        "catalog, MiB": lambda each: f"{each['catalog_mib']}",
        "web process, MiB": lambda each: f"{each.get('service_mib', '-')}",
    },
}


def table_of(results: dict[str, Any], kind: str, columns: str) -> str:
    """Return one table of one kind, without columns of which nothing was measured."""
    rows = [each for each in results["figures"] if each["kind"] == kind]
    filled = {
        name: texts
        for name, cell in TABLES[columns].items()
        if set(texts := [cell(each) for each in rows]) != {"-"}
    }
    lines = [f"| {' | '.join(filled)} |", "|" + "---|" * len(filled)]
    lines += [f"| {' | '.join(row)} |" for row in zip(*filled.values(), strict=True)]
    return "\n".join(lines)


def end_of(results: dict[str, Any], kind: str) -> str:
    """Return why a kind ends where it does, in a line."""
    return str(results["ends"].get(kind, "All sizes were measured."))


def summary_of(results: dict[str, Any]) -> str:
    """Return what becomes of each kind from its smallest size to its largest on one server.

    Of `cluster`, which has a server for each organization: to its largest.
    """
    heads = ("kind", "organizations", "create", "first read", "start", "check", "memory", "files")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for kind in KINDS:
        rows = [each for each in results["figures"] if each["kind"] == kind and _is_point(each)]
        if len(rows) > 1:
            lines.append(f"| {' | '.join(_growth(kind, rows[0], rows[-1]))} |")
    return "\n".join(lines)


def _growth(kind: str, first: Figure, last: Figure) -> list[str]:
    more = last["tenants"] - first["tenants"]
    starts = [each.get("start_cpu_s", each.get("first_start_cpu_s")) for each in (first, last)]
    return [
        f"`{kind}`",
        f"{first['tenants']:,} -> {last['tenants']:,}",
        f"x {last['create_cpu_ms'] / first['create_cpu_ms']:.1f}",
        f"x {last['cold_cpu_ms'] / first['cold_cpu_ms']:.1f}",
        f"x {starts[1] / starts[0]:.1f}",
        f"{1_000 * last['doctor_cpu_s'] / last['tenants']:.2g} ms each",
        f"{1_024 * (last['mongod_mib'] - first['mongod_mib']) / more:,.1f} KiB each",
        f"{(last['data_files'] - first['data_files']) / more:.1f} each",
    ]


def machine_of(results: dict[str, Any]) -> str:
    """Return what it was measured on."""
    machine = results["machine"]
    return (
        f"Measured on {machine['date']}: {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"at most {machine['open_files_limit']:,} open files, {machine['system']}; mongod "
        f"{machine['mongod']}, Python {machine['python']}, Django {machine['django']}, PyMongo "
        f"{machine['pymongo']}."
    )


def with_tables(text: str, results: dict[str, Any]) -> str:
    """Return a text with what stands between `<!-- growth:X -->` and `<!-- /growth -->` anew."""
    made = {"machine": machine_of(results), "summary": summary_of(results)}
    for kind in KINDS:
        made |= {f"{kind} {name}": table_of(results, kind, name) for name in TABLES}
        made[f"{kind} end"] = end_of(results, kind)
    marked = re.compile(r"<!-- growth:([\w ]+) -->\n.*?<!-- /growth -->", re.DOTALL)
    return marked.sub(
        lambda found: f"<!-- growth:{found[1]} -->\n{made[found[1]]}\n<!-- /growth -->", text
    )
