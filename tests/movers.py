"""Processes that move organizations, others that use them meanwhile, and what was promised."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.environment import SECOND_URI
from tests.forks import Fork, Forks

# Both are shorter than in service, and in proportion: a call ends before the margin of the lease.
LEASE_SECONDS, LEASE_MARGIN_SECONDS = 4.0, 2.0
TIMING = {"TENANCY_CATALOG_TTL": "0.05", "TENANCY_OPERATION_TIMEOUT": "1.6"}
PAUSE_SECONDS = 3.0  # how long a request waits for a pause to end
# One thread uses an organization; where its mover dies, what it has just written may be late.
UNKNOWN_MAX = 2

PRELUDE = f"""
import os, signal, threading, time
from django.db import connection
from tenancy import access, catalog, encryption, journal, lifecycle, operations
from tenancy.exceptions import *
from tenancy.lifecycle import copies, move_plans, moving, switching
from tenancy.models import *
from tenancy.mongo import copying, provisioning, raw_collections
from tenancy.mongo.indexes import IndexSpec
BY = "command:test"
journal.LEASE_SECONDS, journal.LEASE_MARGIN_SECONDS = {LEASE_SECONDS}, {LEASE_MARGIN_SECONDS}
operations.RETRY_DELAYS_SECONDS = (0.1, 0.5)
def call(pk, do):
    return access.with_collection(pk, "main", do, by=BY)
def find(name):
    return Organization.objects.select_related("placement__cluster").get(name=name)
def freeze():
    os.kill(os.getpid(), signal.SIGSTOP)
"""
CREATE = """
for name, kind in kinds.items():
    sealed = encryption.encrypt(f"{second}&appName={name}")
    Cluster.objects.create(alias=name.lower(), uri_encrypted=sealed, accepts_new=False)
    o = lifecycle.create_organization(name, kind=kind, by=BY)
    lifecycle.declare_index(o.pk, "main", IndexSpec("s_1", (("s", 1),)), by=BY)
    for first in range(0, documents, 1000):
        rows = [{"_id": n, "s": n % 7} for n in range(first, min(first + 1000, documents))]
        call(o.pk, lambda collection: collection.insert_many(rows))
"""
MOVE = "lifecycle.move_organization(find(name).pk, kind, by=BY)\n"
RESUME = """
deadline = time.monotonic() + 30
while Operation.objects.open().exists() and time.monotonic() < deadline:
    operations.resume_operations()
    time.sleep(0.05)
"""
# However many are used, it is some 200 calls a second: more would only take the movers' cores.
USE = """
said, pause = {}, max(0.01, 0.005 * len(names))
def step(pk, mine, n):
    key, known = f"k{n % 40}", mine["expected"].get(f"k{n % 40}")
    if n % 3 == 0:
        try:
            found = call(pk, lambda collection: collection.get(key))["n"]
        except DocumentNotFound:
            found = None
        if found not in (known, mine["unknown"].get(key, known)):
            mine["wrong"].append(f"{key}: {found} instead of {known}")
        return
    wanted = None if n % 7 == 0 and known is not None else n
    try:
        if wanted is None:
            call(pk, lambda collection: collection.delete(key))
        else:
            call(pk, lambda collection: collection.replace(key, {"n": n}))
    except OutcomeUnknown:  # what came late to a place whose mover has died
        mine["unknown"][key] = wanted
        mine["unknowns"] += 1
        return
    except DocumentNotFound:
        if key not in mine["unknown"]:
            raise
    mine["expected"][key] = wanted
    mine["unknown"].pop(key, None)
def use(name, pk):
    mine = said[name] = {
        "expected": {}, "unknown": {}, "unknowns": 0, "wrong": [], "busy": 0, "longest": 0.0,
        "calls": 0,
    }
    while not os.path.exists(flag):
        began = time.monotonic()
        try:
            step(pk, mine, mine["calls"])
        except TenantBusy:
            mine["busy"] += 1
        except Exception as error:
            mine["wrong"].append(repr(error))
        mine["calls"] += 1
        mine["longest"] = max(mine["longest"], time.monotonic() - began)
        time.sleep(pause)
    connection.close()
threads = [threading.Thread(target=use, args=(name, find(name).pk)) for name in names]
connection.close()
[thread.start() for thread in threads]
open(flag + ".on", "w").close()
[thread.join() for thread in threads]
answer(said)
"""
LOOK = """
found = {}
for o in Organization.objects.select_related("placement__cluster"):
    here = move_plans.place_of(o)
    rows, after = [], START
    while True:
        page = call(o.pk, lambda collection: collection.list_page(limit=1000, after=after))
        rows += page.documents
        if len(page.documents) < 1000:
            break
        after = rows[-1]["_id"]
    moves = Operation.objects.filter(organization=o, kind="move").order_by("created_at")
    sides = [row.params[side] for row in moves for side in ("source", "target")]
    places = [move_plans.Place(**each) for each in sides]
    found[o.name] = {
        "kind": here.kind, "epoch": o.placement.epoch, "paused": o.pause_from is not None,
        "ids": [row["_id"] for row in rows], "n": {row["_id"]: row.get("n") for row in rows},
        "open": Operation.objects.open().filter(organization=o).count(),
        "moves": [row.status for row in moves], "errors": [row.error for row in moves],
        "dedicated": Cluster.objects.filter(dedicated_to=o).count(),
        "left": sorted({
            str(place) for place in places
            if place != here and provisioning.list_namespace(place.address)
        }),
    }
answer(found)
""".replace("START", "__import__('tenancy.mongo.documents', fromlist=['START']).START")
WHERE = "answer(find(name).placement.kind)\n"
DOCTOR = """
from tenancy.doctor import check_tenants
answer([str(each) for each in check_tenants(by=BY, repair=False).findings])
"""


@dataclass
class Movers:
    """Organizations of one deployment, moved and used by processes."""

    forks: Forks
    home: Path
    documents: int

    def start(self, code: str, failpoint: str = "", **names: Any) -> Fork:
        """Start a process."""
        return self.forks.start(PRELUDE + code, failpoint, **names)

    def create(self, kinds: dict[str, str]) -> None:
        """Create organizations with documents, each at a kind of placement."""
        second = os.environ[SECOND_URI]
        code = CREATE
        self.start(code, kinds=kinds, documents=self.documents, second=second).result()

    def move(self, name: str, kind: str, failpoint: str = "", before: str = "") -> Fork:
        """Start a process that moves one, after doing what is said `before`."""
        return self.start(before + MOVE, failpoint, name=name, kind=kind)

    def resume(self, runners: int = 1) -> None:
        """Let new processes run what is open, to its end."""
        for fork in [self.start(RESUME) for _ in range(runners)]:
            fork.result()

    @contextmanager
    def used(self, *names: str) -> Iterator[dict[str, Any]]:
        """Let another process write to and read from organizations in the block.

        What it has seen is in what is yielded, after the block.
        """
        flag = str(self.home / f"end-{time.time_ns()}")
        fork = self.start(USE, names=names, flag=flag)
        said: dict[str, Any] = {}
        try:
            _wait_for(Path(flag + ".on"))
            yield said
        finally:
            Path(flag).touch()
            said |= fork.result()

    def where(self, name: str) -> str:
        """Return the kind of placement of one."""
        return str(self.start(WHERE, name=name).result())

    def look(self) -> dict[str, Any]:
        """Return how it stands with every organization."""
        return dict(self.start(LOOK).result())

    def problems(self, said: dict[str, Any], kinds: dict[str, str]) -> dict[str, list[str]]:
        """Return what is wrong, now that nothing runs any more: {} if nothing is lost."""
        found = self.look()
        wrong = {name: _judge(found[name], said[name], self.documents) for name in kinds}
        for name, kind in kinds.items():
            if found[name]["kind"] != kind:
                wrong[name].append(f"lives at {found[name]['kind']}")
        return {name: what for name, what in wrong.items() if what}


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def _judge(found: dict[str, Any], said: dict[str, Any], documents: int) -> list[str]:
    unknown = said["unknown"]
    live = {k: n for k, n in said["expected"].items() if n is not None and k not in unknown}
    there = {k: n for k, n in found["n"].items() if n is not None and k not in unknown}
    odd = [
        key
        for key, n in unknown.items()
        if found["n"].get(key) not in (n, said["expected"].get(key))
    ]
    ids = [each for each in found["ids"] if not isinstance(each, str)]
    checks = {
        f"wrong answers: {said['wrong'][:3]}": bool(said["wrong"]),
        f"{len(ids)} of the documents that nobody changed": ids != list(range(documents)),
        f"written: {sorted(live.items() ^ there.items())[:5]}": live != there,
        f"neither done nor not: {odd}": bool(odd),
        f"{said['unknowns']} times nobody knew": said["unknowns"] > UNKNOWN_MAX,
        "hardly used": said["calls"] < 5,
        "still paused": found["paused"],
        "an operation is open": found["open"] > 0,
        f"left: {found['left']}": bool(found["left"]),
        "a cluster is its own": found["dedicated"] != (found["kind"] == "cluster"),
    }
    return [what for what, is_wrong in checks.items() if is_wrong]
