"""Rename an organization again and again while others write and read, and count the damage.

    python -m benchmarks.rename_drill [--naming name|id|both] [--json]

Two server processes share one catalog and one mongod. Every figure and its bound is in
`drill_report`; the exit code is 1 when one of them is out of bounds.
"""

import argparse
import json
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

from pymongo.database import Database

from benchmarks.drill_check import (
    Document,
    connect,
    index_definitions,
    preload,
    verify,
    wait_for_no_leftovers,
)
from benchmarks.drill_client import API, DrillClient, Tally
from benchmarks.drill_load import Entry
from benchmarks.drill_rename_report import RenameDrillReport
from benchmarks.drill_report import Timing
from benchmarks.drill_stage import (
    HOME_NAME,
    SERVERS,
    DrillConfig,
    Naming,
    Stage,
    find_namespace,
    service_settings,
    sign_up,
    start_servers,
)
from benchmarks.drill_workers import collect_results, run_workers, wait_until_under_way
from benchmarks.local_processes import ProcessFailed, start_mongod

AWAY_NAME, LAST_NAME = "Drill Away", "Drill Last"


def run_drill(config: DrillConfig) -> RenameDrillReport:
    """Run one drill from an empty service to a verdict; everything it started is ended."""
    with ExitStack() as stack:
        directory = config.directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-drill-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        uri = config.mongodb_uri
        if uri is None:
            mongod = start_mongod(directory / "mongod")
            stack.callback(mongod.stop, Event())
            uri = mongod.uri
        name = f"drill_{config.naming}_{secrets.token_hex(4)}"
        client, database = connect(uri, name)
        stack.enter_context(client)
        stack.callback(client.drop_database, name)
        settings = service_settings(config, directory, {"uri": uri, "database": name})
        ports = start_servers(stack, config, directory, settings)
        return _drill(config, sign_up(ports), database)


def _drill(config: DrillConfig, stage: Stage, database: Database[Document]) -> RenameDrillReport:
    preload(database[stage.namespace], config.documents)
    indexes = index_definitions(database[stage.namespace])
    report = RenameDrillReport(
        config.naming,
        config.writers,
        config.readers,
        config.documents,
        renames_wanted=config.renames,
    )
    journal = _load_and_rename(config, stage, report)
    namespace = find_namespace(stage.ports[0], stage.account)
    report.namespace_kept = namespace == stage.namespace
    left, waited = wait_for_no_leftovers(database, namespace, config.leftover_seconds)
    report.leftover_collections, report.leftovers_gone_after = left, waited
    report.indexes_intact = index_definitions(database[namespace]) == indexes
    report.record_verification(verify(database[namespace].find(), journal, config.documents))
    return report


def _load_and_rename(
    config: DrillConfig, stage: Stage, report: RenameDrillReport
) -> dict[str, Entry]:
    """Run the load and the renames beside it; fill the report; return the joint journal."""
    ends_at = time.time() + config.load_seconds
    with run_workers(config, stage, ends_at) as (workers, stop):
        wait_until_under_way(workers)
        started = time.monotonic()
        renames = _rename_repeatedly(config, stage, report, ends_at)
        stop.set()
        report.seconds_under_load = time.monotonic() - started
        results = collect_results(workers)
    report.workers_failed = len(workers) - len(results)
    report.record_load(results, [renames])
    report.rename = Timing.of(renames.seconds["rename"])
    return {key: entry for result in results for key, entry in result.journal.items()}


def _rename_repeatedly(
    config: DrillConfig, stage: Stage, report: RenameDrillReport, ends_at: float
) -> Tally:
    """Rename through both servers in turn, so that the other one always has to catch up."""
    clients = [DrillClient(port, stage.account, stage.token) for port in stage.ports]
    with ExitStack() as stack:
        for client in clients:
            stack.callback(client.close)
        for step in range(config.renames):
            if time.time() > ends_at:
                break
            name = _name_after(step, config.renames)
            answer = clients[step % SERVERS].call(
                "rename", "PATCH", f"{API}/organization", {"name": name}
            )
            report.renames_done += answer.ok and answer.body.get("name") == name
            time.sleep(config.seconds_between_renames)
    tally = Tally()
    for client in clients:
        tally.add(client.tally)
    return tally


def _name_after(step: int, renames: int) -> str:
    """Away, back home, to a name nobody had, away again: A, B, A, C, B, A, D, ...

    The last is always a new one, so that the final namespace tells whether it follows the name.
    """
    if step == renames - 1:
        return LAST_NAME
    return (AWAY_NAME, HOME_NAME, f"Drill Fresh {step}")[step % 3]


def _parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    sizes = DrillConfig()
    parser = argparse.ArgumentParser(prog="rename_drill", description=__doc__.splitlines()[0])
    parser.add_argument("--naming", choices=["name", "id", "both"], default="both")
    parser.add_argument("--writers", type=int, default=sizes.writers)
    parser.add_argument("--readers", type=int, default=sizes.readers)
    parser.add_argument("--renames", type=int, default=sizes.renames)
    parser.add_argument("--documents", type=int, default=sizes.documents)
    parser.add_argument("--mongodb-uri", help="use this replica set and start none")
    parser.add_argument("--directory", type=Path, help="keep logs and data here")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return parser.parse_args(arguments)


def _run_one(naming: Naming, options: argparse.Namespace) -> RenameDrillReport:
    config = DrillConfig(
        naming=naming,
        writers=options.writers,
        readers=options.readers,
        renames=options.renames,
        documents=options.documents,
        mongodb_uri=options.mongodb_uri,
    )
    if options.directory:
        options.directory.mkdir(parents=True, exist_ok=True)
        kept = tempfile.mkdtemp(prefix=f"{naming}-", dir=options.directory)
        config = replace(config, directory=Path(kept))
    return run_drill(config)


def main(arguments: list[str] | None = None) -> int:
    """Run the drill for each naming asked for; 1 when a figure is out of bounds."""
    options = _parse_arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` still runs
    namings: list[Naming] = ["name", "id"] if options.naming == "both" else [options.naming]
    reports = []
    for naming in namings:
        try:
            reports.append(_run_one(naming, options))
        except ProcessFailed as error:
            print(f"The drill could not run: {error}", file=sys.stderr)
            return 1
        if not options.json:
            print(reports[-1].table(), end="\n\n", flush=True)
    if options.json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    return 0 if all(report.ok for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
