"""The load processes of a drill, seen from outside: started, listened to, ended."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any

from benchmarks.drill_load import LoadPlan, LoadResult, run_load
from benchmarks.drill_stage import SERVERS, LoadConfig, Stage
from benchmarks.local_processes import ProcessFailed

UNDER_WAY_SECONDS = 60.0
RESULT_SECONDS = 60.0
JOIN_SECONDS = 10.0


@dataclass(slots=True)
class Worker:
    """A load process and the pipe its news comes through."""

    process: SpawnProcess
    pipe: Connection


@contextmanager
def run_workers(
    config: LoadConfig, stage: Stage, ends_at: float
) -> Iterator[tuple[list[Worker], Event]]:
    """Start writers and readers, half of each against each server; end them on the way out."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    workers: list[Worker] = []
    roles = ["writer"] * config.writers + ["reader"] * config.readers
    try:
        for number, role in enumerate(roles):
            plan = LoadPlan(
                number=number,
                role="writer" if role == "writer" else "reader",
                port=stage.ports[number % SERVERS],
                account=stage.account,
                token=stage.token,
                documents=config.documents,
                page_limit=config.page_limit,
                ends_at=ends_at,
            )
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=run_load, args=(plan, stop, sender), daemon=True)
            process.start()
            sender.close()  # the child has its own; without this its death would go unnoticed
            workers.append(Worker(process, receiver))
        yield workers, stop
    finally:
        stop.set()
        for worker in workers:
            _end_worker(worker)


def _end_worker(worker: Worker) -> None:
    worker.pipe.close()
    worker.process.join(JOIN_SECONDS)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join(JOIN_SECONDS)
    worker.process.close()


def _receive(worker: Worker, seconds: float) -> Any:
    """Return the next news of a worker, or None when it is dead or silent."""
    try:
        return worker.pipe.recv() if worker.pipe.poll(seconds) else None
    except (EOFError, OSError):
        return None


def wait_until_under_way(workers: list[Worker]) -> None:
    """Return when every worker has had its first answer. Raises ProcessFailed."""
    for number, worker in enumerate(workers):
        if _receive(worker, UNDER_WAY_SECONDS) is None:
            raise ProcessFailed(f"load process {number} did not get under way")


def collect_results(workers: list[Worker]) -> list[LoadResult]:
    """Return what the workers saw, once they were told to stop; the dead have nothing to say."""
    news = [_receive(worker, RESULT_SECONDS) for worker in workers]
    return [result for result in news if isinstance(result, LoadResult)]
