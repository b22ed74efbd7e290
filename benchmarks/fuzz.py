"""Requests made up from the OpenAPI document, against a service of their own.

    python -m benchmarks.fuzz [--examples 50] [--seed 1] [--only REGEX]

schemathesis sends what the document allows and what it does not, with a valid token, and judges
the answers: no 5xx, no undocumented status, header or media type, no body that differs from its
schema, nothing that is served without a credential.
"""

import argparse
import http.client
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event
from typing import Any

from benchmarks.local_processes import (
    PROJECT,
    free_port,
    own_environment,
    start_mongod,
    start_server,
    stop_process,
)

SERVE = (sys.executable, "manage.py", "serve")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PASSWORD = "correct horse 9 battery"
# What ends the session or the organization with which it is asked: each is asked with its own.
ENDING = (
    "/api/v1/auth/logout", "/api/v1/auth/logout-all", "/api/v1/auth/password/change",
    "/api/v1/organization/leave", "/api/v1/organization/transfer", "/org/update", "/org/delete",
)  # fmt: skip
DOCUMENTS = 200
# The token has to last for the whole run, and what is counted is not what is judged here.
SETTINGS = {"RATE_LIMITS": "off", "ACCESS_TOKEN_MINUTES": "120"}


def call(port: int, method: str, path: str, body: Any, token: str = "") -> Any:
    """Send one request and return its body. Raises RuntimeError for a refusal."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection.request(method, path, json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {text[:500]!r}")
    return json.loads(text)


def prepare(port: int, number: int) -> str:
    """Make an organization with something in it; return its owner's token."""
    person = {
        "organization_name": f"Fuzzed {number}",
        "email": f"fuzz{number}@example.com",
        "password": PASSWORD,
    }
    token: str = call(port, "POST", "/api/v1/auth/signup", person)["access_token"]
    for collection in ("main", "spare"):
        operations = [
            {"op": "insert", "document": {"_id": f"d{n}", "n": n, "tags": ["a"], "name": f"N {n}"}}
            for n in range(DOCUMENTS)
        ]
        call(
            port,
            "POST",
            f"/api/v1/collections/{collection}/bulk",
            {"operations": operations},
            token,
        )
    index = {"keys": [["n", 1]]}
    call(port, "POST", "/api/v1/collections/main/indexes", index, token)
    return token


def fuzz(port: int, options: argparse.Namespace, number: int, *paths: str) -> int:
    """Run schemathesis over some paths with a token of its own; return its exit status."""
    ids = ", ".join(f'"d{n}"' for n in range(DOCUMENTS))
    configuration = Path(options.folder, "schemathesis.toml")
    configuration.write_text(CONFIGURATION.read_text().replace('"@documents"', ids))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(configuration),
        "run", f"http://127.0.0.1:{port}/api/v1/openapi.json",
        "--checks", "all", "--max-examples", str(options.examples), "--seed", str(options.seed),
        "--phases", options.phases, "--request-timeout", "30", "--suppress-health-check", "all",
        "--continue-on-failure", *paths,
    ]  # fmt: skip
    environment = {
        **own_environment(), "FUZZ_TOKEN": prepare(port, number), "PYTHONPATH": str(PROJECT),
    }  # fmt: skip
    # In a folder of its own: schemathesis leaves files where it runs.
    return subprocess.run(command, cwd=options.folder, env=environment, check=False).returncode


def fuzz_all(port: int, options: argparse.Namespace) -> int:
    """Fuzz everything, then what ends a session; return the worst exit status."""
    wanted = ["--include-path-regex", options.only] if options.only else []
    others = [word for path in ENDING for word in ("--exclude-path", path)]
    worst = fuzz(port, options, 0, *wanted, *others)
    for number, path in enumerate(ENDING, 1):
        if re.search(options.only, path):
            worst = max(worst, fuzz(port, options, number, "--include-path", path))
    return worst


def run(options: argparse.Namespace) -> int:
    """Start a service, fuzz it, end it."""
    with tempfile.TemporaryDirectory(prefix="tenantry-fuzz-") as folder:
        home, port = Path(folder), free_port()
        mongod = start_mongod(home / "mongod")
        options.folder, process = folder, None
        try:
            uses = {"MONGODB_URI": mongod.uri, "TENANTRY_HOME": str(home / "home")}
            settings = {**SETTINGS, **uses, "PORT": str(port)}
            process = start_server(SERVE, settings, home / "serve.log")
            return fuzz_all(port, options)
        finally:
            if process is not None:
                stop_process(process)
            mongod.stop(Event())


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=50, help="for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument("--only", default="", help="a regular expression on paths")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run(read_options()))
