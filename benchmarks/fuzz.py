"""Requests made up from the OpenAPI document, against a service of their own.

    python -m benchmarks.fuzz [--examples 50] [--seed 1] [--only REGEX] [--processes 2]

schemathesis sends what the document allows and what it does not, with a valid token, and judges
the answers: no 5xx, no undocumented status, header, media type or code, no body that differs from
its schema, nothing that is served without a credential. It ends with 0 if every operation was
sent at least as many examples as were asked for, and nothing was held against any.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

from benchmarks.fuzz_places import call
from benchmarks.fuzz_report import Report
from benchmarks.local_processes import (
    PROJECT,
    SERVE,
    free_port,
    own_environment,
    start_mongod,
    start_server,
    stop_process,
)

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# The token has to last for the whole run, and what is counted is not what is judged here.
SETTINGS = {"RATE_LIMITS": "off", "ACCESS_TOKEN_MINUTES": "120"}
POLL_SECONDS = 0.5
AGAIN, SEED_STEP = 3, 1_000
METHODS = {"get", "post", "put", "patch", "delete"}


def find_operations(port: int, only: str) -> list[str]:
    """Return `METHOD path` of each operation that the document has, if its path is wanted."""
    paths = call(port, "GET", "/api/v1/openapi.json")["paths"]
    return [
        f"{method.upper()} {path}"
        for path, item in paths.items()
        for method in METHODS & item.keys()
        if re.search(only, path)
    ]


def start_fuzzing(
    port: int, options: argparse.Namespace, folder: Path, operations: list[str]
) -> subprocess.Popen[bytes]:
    """Start schemathesis for some operations, in a folder of its own: it leaves files there."""
    folder.mkdir()
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIGURATION),
        "run", f"http://127.0.0.1:{port}/api/v1/openapi.json", "--no-color",
        "--checks", "all", "--max-examples", str(options.examples), "--seed", str(options.seed),
        "--phases", options.phases, "--request-timeout", "30", "--suppress-health-check", "all",
        "--continue-on-failure", "--generation-database", "none", "--warnings", "off",
        *(word for name in operations for word in ("--include-name", name)),
    ]  # fmt: skip
    environment = {
        **own_environment(), "PYTHONPATH": str(PROJECT), "FUZZ_PORT": str(port),
        "FUZZ_COUNTS": str(folder / "counts"),
        "FUZZ_LETTERS": str(folder.parent.parent / "letters"),
    }  # fmt: skip
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )


def fuzz(port: int, options: argparse.Namespace, home: Path) -> int:
    """Fuzz everything that is wanted; return the exit status.

    What the generator gave up on, or found too few examples for, is fuzzed with other seeds.
    """
    report = Report(find_operations(port, options.only), options.examples)
    seed = options.seed
    for again in range(1 + AGAIN):
        if operations := report.lacking:
            options.seed = seed + again * SEED_STEP
            fuzz_some(port, options, home / f"round{again}", operations, report)
    return report.finish(seed)


def fuzz_some(
    port: int, options: argparse.Namespace, home: Path, operations: list[str], report: Report
) -> None:
    """Fuzz some operations, in several processes, until all have been."""
    home.mkdir()
    folders = [home / f"fuzz{n}" for n in range(min(options.processes, len(operations)))]
    report.begin(operations)
    processes = [
        start_fuzzing(port, options, folder, operations[n :: len(folders)])
        for n, folder in enumerate(folders)
    ]
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(POLL_SECONDS)
            report.read(folders)
    finally:
        for process in processes:
            stop_process(process)
    report.read(folders)
    for folder, process in zip(folders, processes, strict=True):
        report.end(folder, process.returncode)


def run(options: argparse.Namespace) -> int:
    """Start a service, fuzz it, end it."""
    with tempfile.TemporaryDirectory(prefix="tenantry-fuzz-") as folder:
        home, port = Path(folder), free_port()
        mongod = start_mongod(home / "mongod")
        process = None
        (home / "letters").mkdir()
        try:
            uses = {"MONGODB_URI": mongod.uri, "TENANTRY_HOME": str(home / "home")}
            letters = {"EMAIL_URL": f"filemail:///{home / 'letters'}"}
            settings = {**SETTINGS, **uses, **letters, "PORT": str(port)}
            process = start_server(SERVE, settings, home / "serve.log")
            return fuzz(port, options, home)
        finally:
            if process is not None:
                stop_process(process)
            mongod.stop(Event())


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=50, help="for each operation, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument("--only", default="", help="a regular expression on paths")
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run(read_options()))
