"""Move an organization through every kind of placement under load, and count the damage.

    python -m benchmarks.move_drill [--naming name|id] [--json] [--output FILE]

shared -> collection -> database -> another cluster -> shared. Two server processes share one
catalog; two mongods are the clusters; a third process moves. Every figure and its bound is in
`drill_move_report`; the exit code is 1 when one of them is out of bounds.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from benchmarks.drill_check import Document, loaded_documents
from benchmarks.drill_client import API, DrillClient, Tally
from benchmarks.drill_load import LoadResult
from benchmarks.drill_move_check import INDEXES, are_indexes_kept, check_end, judge_walk
from benchmarks.drill_move_report import Bounds, MoveDrillReport, MoveFigures
from benchmarks.drill_mover import SECOND, SECOND_URI
from benchmarks.drill_operator import Operator, run_operator
from benchmarks.drill_places import Place, Places, PlainCopy, rich_documents
from benchmarks.drill_stage import (
    LoadConfig,
    Stage,
    find_organization,
    service_settings,
    sign_up,
    start_servers,
)
from benchmarks.drill_witness import Witness, witness_documents
from benchmarks.drill_workers import collect_results, run_workers, wait_until_under_way
from benchmarks.local_processes import PROJECT, ProcessFailed, start_mongod

ROUTE = (
    ("collection", "default"),
    ("database", "default"),
    ("cluster", SECOND),
    ("shared", "default"),
)
PLAIN_COPIES = 2
OUTPUT = PROJECT / "var" / "drill-moves.json"


@dataclass(frozen=True)
class MoveDrillConfig(LoadConfig):
    """A drill of moves. Without a second URI it starts a second mongod, too."""

    documents: int = 40_000
    load_seconds: float = 900.0
    second_uri: str | None = None
    bounds: Bounds = field(default_factory=Bounds)


@dataclass
class Scene:
    """Everything that a drill works with."""

    config: MoveDrillConfig
    stage: Stage
    operator: Operator
    places: Places
    clients: list[DrillClient]
    report: MoveDrillReport

    def organization(self) -> Document:
        """Return the organization as the service shows it."""
        answer = self.clients[0].call("organization", "GET", f"{API}/organization")
        if not answer.ok:
            raise ProcessFailed(f"the organization answered {answer.status}: {answer.body}")
        if not answer.ok:
            raise ProcessFailed(f"the organization answered {answer.status}: {answer.body}")
        return dict(answer.body)

    def place(self) -> Place:
        """Return where the organization lives now."""
        return self.places.at(self.organization())


def run_drill(config: MoveDrillConfig) -> MoveDrillReport:
    """Run one drill from an empty service to a verdict; everything it started is ended."""
    with ExitStack() as stack:
        directory = config.directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-drill-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        scene = _set_up(stack, config, directory)
        _fill(scene)
        results = _load_and_move(scene)
        _look_at_end(scene, results)
        return scene.report


def _set_up(stack: ExitStack, config: MoveDrillConfig, directory: Path) -> Scene:
    uri = config.mongodb_uri or _start_mongod(stack, directory / "mongod")
    second = config.second_uri or _start_mongod(stack, directory / "mongod-second")
    name = f"drill_moves_{secrets.token_hex(4)}"
    places = Places(stack, name, **{"default": uri, SECOND: second})
    settings = {
        **service_settings(config, directory, {"uri": uri, "database": name}),
        "ACCESS_TOKEN_MINUTES": "60",  # whoever signs in again has lost a token
        SECOND_URI: second,
    }
    ports = start_servers(stack, config, directory, settings)
    operator = stack.enter_context(run_operator(settings, directory / "operator.log"))
    operator.act("prepare")
    stage = sign_up(ports)
    clients = [DrillClient(port, stage.account, stage.token) for port in ports]
    for client in clients:
        stack.callback(client.close)
    report = MoveDrillReport(
        config.naming,
        config.writers,
        config.readers,
        config.documents,
        moves_wanted=len(ROUTE),
        bounds=config.bounds,
    )
    return Scene(config, stage, operator, places, clients, report)


def _start_mongod(stack: ExitStack, folder: Path) -> str:
    mongod = start_mongod(folder)
    stack.callback(mongod.stop, Event())
    return str(mongod.uri)


def _fill(scene: Scene) -> None:
    """Declare the indexes and load the documents, behind the service's back: they are many."""
    for index in INDEXES:
        answer = scene.clients[0].call("POST", "POST", f"{API}/collections/main/indexes", index)
        if not answer.ok:
            raise ProcessFailed(f"the index answered {answer.status}: {answer.body}")
    place = scene.place()
    place.store(loaded_documents(scene.config.documents))
    place.store(rich_documents())
    place.store(witness_documents())


def _load_and_move(scene: Scene) -> list[LoadResult]:
    """Run the load and the moves beside it; return what the load's processes saw."""
    config, report = scene.config, scene.report
    witness = Witness(scene.clients, config.documents)
    windows: list[tuple[float, float]] = []
    with run_workers(config, scene.stage, time.time() + config.load_seconds) as (workers, stop):
        wait_until_under_way(workers)
        started = time.monotonic()
        try:
            for kind, cluster in ROUTE:
                windows.append(_move(scene, witness, kind, cluster))
        except ProcessFailed as error:
            report.failure = str(error)
        stop.set()
        report.seconds_under_load = time.monotonic() - started
        results = collect_results(workers)
    report.workers_failed = len(workers) - len(results)
    report.witness_wrong = witness.wrong
    results.append(LoadResult("witness", Tally(), witness.journal))
    _record_load(scene, results, windows)
    return results


def _move(scene: Scene, witness: Witness, kind: str, cluster: str) -> tuple[float, float]:
    """Move once, with what is compared before and after. Return when it began and ended."""
    source = scene.place()
    plain = PlainCopy()
    for _ in range(PLAIN_COPIES):  # and as often afterwards: the load of a machine comes and goes
        plain.measure(source, scene.places.clients[cluster])
    before = source.frozen_digest()
    witness.begin()
    told = scene.operator.act("move", kind, cluster)
    witness.end()
    target = scene.place()
    for _ in range(PLAIN_COPIES):
        plain.measure(target, scene.places.clients[cluster])
    copied, seconds = told["compared"]["documents"], told["steps"]["copy"]
    figures = MoveFigures(
        route=f"{source.kind} -> {target.kind}",
        documents=told["proof"]["documents"],
        seconds=told["ended_at"] - told["began_at"],
        copy_seconds=seconds,
        copied_per_second=copied / seconds,
        plain_per_second=plain.per_second,
        pause_ms=told["proof"]["pause_ms"],
        steps=told["steps"],
        compared_differing=told["compared"]["differing"],
        digest_kept=target.frozen_digest() == before,
        proof_counted=told["proof"]["pause_ms"] > 0
        and (target.kind, target.cluster) == (kind, cluster),
        indexes_kept=are_indexes_kept(target),
        left_at_source=source.leftovers(),
    )
    judge_walk(figures, witness.walked, scene.config.documents)
    scene.report.moves.append(figures)
    return told["began_at"], told["ended_at"]


def _record_load(
    scene: Scene, results: list[LoadResult], windows: list[tuple[float, float]]
) -> None:
    report = scene.report
    tally = report.record_load(results, [client.tally for client in scene.clients])
    for figures, (begins, ends) in zip(report.moves, windows, strict=True):
        figures.longest_answer_seconds = tally.longest_between(begins, ends)
    report.longest_without_move_seconds = tally.longest_beside(windows)


def _look_at_end(scene: Scene, results: list[LoadResult]) -> None:
    organization = find_organization(scene.stage.ports[1], scene.stage.account)
    place = scene.places.at(organization)
    scene.report.epoch = organization["placement"]["epoch"]
    scene.report.strays = scene.places.strays(place)
    journal = {key: entry for result in results for key, entry in result.journal.items()}
    check_end(scene.report, place, journal, scene.config.documents)


def _parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    sizes = MoveDrillConfig()
    parser = argparse.ArgumentParser(prog="move_drill", description=__doc__.splitlines()[0])
    parser.add_argument("--naming", choices=["name", "id"], default="name")
    parser.add_argument("--writers", type=int, default=sizes.writers)
    parser.add_argument("--readers", type=int, default=sizes.readers)
    parser.add_argument("--documents", type=int, default=sizes.documents)
    parser.add_argument("--directory", type=Path, help="keep logs and data here")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="write the figures here")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the drill; 1 when a figure is out of bounds."""
    options = _parse_arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` still runs
    config = MoveDrillConfig(
        naming=options.naming, writers=options.writers, readers=options.readers,
        documents=options.documents, directory=options.directory,
    )  # fmt: skip
    try:
        report = run_drill(config)
    except ProcessFailed as error:
        print(f"The drill could not run: {error}", file=sys.stderr)
        return 1
    spelled = json.dumps(report.as_dict(), indent=2)
    os.makedirs(options.output.parent, exist_ok=True)
    options.output.write_text(spelled + "\n")
    print(spelled if options.json else report.table(), flush=True)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
