"""The operator of a move drill: a process of the service that adds a cluster, moves, examines.

It works with the catalog that its environment names. Each line it reads is an act with its
arguments, `["move", "database", "default"]`; each line it prints is what came of one.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import django

SECOND = "second"
SECOND_URI = "DRILL_SECOND_URI"
ACTOR = "command:move_drill"


def prepare() -> dict[str, Any]:
    """Add the second cluster; let organizations that sign up live in the shared collection."""
    from tenancy.lifecycle.clusters import ClusterTraits, add_cluster
    from tenancy.models import Plan

    add_cluster(SECOND, os.environ[SECOND_URI], ClusterTraits(accepts_new=False), by=ACTOR)
    Plan.objects.update_or_create(code=Plan.DEFAULT, defaults={"default_kind": "shared"})
    return {}


def move(kind: str, cluster: str) -> dict[str, Any]:
    """Move the only organization there is; return what the journal says, and each step's time."""
    from tenancy import lifecycle
    from tenancy.models import Organization

    times: dict[str, float] = {}
    began = time.time()
    with timed_steps("move", times):
        organization = Organization.objects.get()
        row = lifecycle.move_organization(organization.pk, kind, cluster=cluster, by=ACTOR)
    return {
        "began_at": began, "ended_at": time.time(), "steps": times, "status": row.status,
        "attempts": row.attempts, "proof": row.state["proof"], "compared": row.state["compared"],
    }  # fmt: skip


@contextmanager
def timed_steps(kind: str, times: dict[str, float]) -> Iterator[None]:
    """Add up in the block what the steps of a kind of operation take, in seconds."""
    from tenancy.journal import KINDS

    def timed(name: str, own: Callable[[Any], None], run: Any) -> None:
        began = time.monotonic()
        try:
            own(run)
        finally:
            times[name] = times.get(name, 0.0) + time.monotonic() - began

    def wrapped(step: Any) -> Any:
        return replace(step, run=lambda run: timed(step.name, step.run, run))

    known = KINDS[kind]
    KINDS[kind] = replace(known, steps=tuple(wrapped(step) for step in known.steps))
    try:
        yield
    finally:
        KINDS[kind] = known


def main() -> int:
    """Do what is asked for, line by line, until there is nothing more to read."""
    django.setup()
    for line in sys.stdin:
        act, *rest = json.loads(line)
        print(json.dumps({"prepare": prepare, "move": move}[act](*rest)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
