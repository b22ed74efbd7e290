"""An import of 200,000 lines through real HTTP, its server killed again and again: all in, once.

    python -m benchmarks.import_drill [--lines N] [--kills K]

Prints one line and exits with 1 if a document is missing or there twice.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Event

import httpx
from pymongo import MongoClient

from benchmarks.drill_interruptions import body_of, do_when, insist_on_import, running_server
from benchmarks.local_processes import start_mongod

LINES = 200_000
DATABASE = "tenants"
KILLS = 5
PASSWORD = "correct horse 9 battery"
SIGNUP = {"organization_name": "Acme", "email": "alice@example.com", "password": PASSWORD}


def run(lines: int, kills: int, home: Path) -> bool:
    """Import under fire; print what came of it, and return whether that is right."""
    mongod = start_mongod(home / "mongod")
    try:
        with MongoClient(mongod.uri) as client:
            return _drill(lines, kills, home, mongod.uri, client)
    finally:
        mongod.stop(Event())


def _drill(lines: int, kills: int, home: Path, uri: str, client: MongoClient) -> bool:
    environment = {
        "DJANGO_SETTINGS_MODULE": "config.settings", "TENANTRY_HOME": str(home),
        "DATABASE_URL": f"sqlite:///{home}/catalog.sqlite3", "MONGODB_URI": uri,
        "TENANCY_DATABASE": DATABASE, "RATE_LIMITS": "off",
    }  # fmt: skip
    stored, body, token = client[DATABASE]["org_acme"], body_of(range(lines)), ""
    begun = time.monotonic()
    for number in range(1, kills + 1):
        with running_server(environment, home) as (http, kill):
            token = token or http.post("/api/v1/auth/signup", json=SIGNUP).json()["access_token"]
            at = lines * number // (kills + 1)
            killer = do_when(lambda at=at: stored.estimated_document_count() >= at, kill)
            try:
                insist_on_import(http, token, "drill", body)
            except httpx.HTTPError:
                killer.join()
    with running_server(environment, home) as (http, _):
        answer = insist_on_import(http, token, "drill", body)
    seen = Counter(row["n"] for row in stored.find({}, {"n": 1}))
    doubled = sum(count > 1 for count in seen.values())
    missing = lines - len(seen)
    print(
        f"{lines:,} lines, {kills} kills, {time.monotonic() - begun:.0f} s: {answer.status_code}, "
        f"{answer.json().get('inserted')} inserted, {missing} missing, {doubled} doubled"
    )
    return answer.status_code == 200 and not missing and not doubled


def main() -> int:
    """Run the drill in a directory of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--kills", type=int, default=KILLS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        return 0 if run(options.lines, options.kills, Path(home)) else 1


if __name__ == "__main__":
    sys.exit(main())
