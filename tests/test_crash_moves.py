"""Kill or freeze the process that moves, anywhere: nothing is lost, and never in between."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forks import running_forks
from tests.movers import DOCTOR, LEASE_SECONDS, MOVE, PAUSE_SECONDS, PRELUDE, TIMING, Movers
from tests.processes import make_deployment
from tests.servers import running_service
from tests.test_crash import KILLED, points_of

pytestmark = [pytest.mark.needs_mongod, pytest.mark.xdist_group("moves")]

DOCUMENTS = 2_100  # three batches
HOPS = {
    "shared": "collection", "collection": "database", "database": "cluster", "cluster": "shared",
}  # fmt: skip
STEPS = [point for point in points_of("move") if not point.endswith(".undo")]
# Where it dies, in the order in which a move comes by.
POINTS = [
    "move.reserve", "move.prepare", "move.copying", "move.copy", "move.index", "move.verify",
    "move.paused", "move.switch", "move.late", "move.drop",
]  # fmt: skip
SWITCHED = ("move.switch", "move.late", "move.drop")


@pytest.fixture(scope="module")
def catalog_file(tmp_path_factory, mongo_client) -> Path:
    """A migrated catalog, copied by every test."""
    home = tmp_path_factory.mktemp("moves")
    make_deployment(home, mongo_client)
    return home / "catalog.sqlite3"


@pytest.fixture
def movers(request, tmp_path, catalog_file, mongo_client, second_client) -> Iterator[Movers]:
    home = tmp_path / f"moves{time.time_ns():x}"
    # A process has as many threads in calls as it is told of, and here one uses ten organizations.
    settings = {**TIMING, "TENANTRY_THREADS": "32"}
    deployment = make_deployment(home, mongo_client, catalog_file, **settings)
    with running_forks(deployment.environment) as forks:
        yield Movers(forks, home, DOCUMENTS)
    for client in (mongo_client, second_client):
        client.drop_database(deployment.tenants.name)


def test_every_step_of_a_move_is_tested_here():
    assert set(STEPS) | {"move.copying", "move.paused"} == set(POINTS)


@pytest.mark.parametrize("source", HOPS)
def test_one_runner_after_the_other_dies_and_the_next_goes_on(movers, source):
    target = HOPS[source]
    movers.create({"Acme": source})

    with movers.used("Acme") as said:
        for point in POINTS:
            if point == "move.reserve":
                runner = movers.move("Acme", target, point)
            else:
                runner = movers.start("operations.resume_operations()", point)
            assert runner.wait() == (KILLED, ""), point
            if point != "move.paused":
                assert movers.where("Acme") == (target if point in SWITCHED else source)
        movers.resume()

    assert movers.problems(said, {"Acme": target}) == {}
    assert said["Acme"]["busy"] == 0
    assert movers.look()["Acme"]["epoch"] == 2
    assert movers.start(DOCTOR).result() == []


def test_wherever_one_died_the_next_finishes_it(movers):
    names = {f"At{number}": point for number, point in enumerate(POINTS)}
    kinds = dict(zip(names, [*HOPS] * len(names), strict=False))
    movers.create(kinds)

    with movers.used(*names) as said:
        runners = {
            name: movers.move(name, HOPS[kinds[name]], point) for name, point in names.items()
        }
        for runner in runners.values():
            assert runner.wait() == (KILLED, "")
        movers.resume(runners=4)

    assert movers.problems(said, {name: HOPS[kinds[name]] for name in names}) == {}
    assert movers.start(DOCTOR).result() == []


UNPROVABLE = "copying.Copy.prove = lambda copy: 1\n"
CANCEL = """
for row in Operation.objects.open():
    operations.request_cancel(row.pk)
"""


def test_undoing_that_was_interrupted_is_finished(movers):
    kinds = {f"From-{kind}": kind for kind in HOPS}
    movers.create(kinds)

    with movers.used(*kinds) as said:
        runners = [
            movers.move(name, HOPS[kind], "move.undo", before=UNPROVABLE)
            for name, kind in kinds.items()
        ]
        assert {runner.wait() for runner in runners} == {(KILLED, "")}
        movers.resume(runners=2)

    assert movers.problems(said, kinds) == {}
    assert {row["moves"][0] for row in movers.look().values()} == {"failed"}
    assert movers.start(DOCTOR).result() == []


@pytest.mark.parametrize("point", ["move.copying", "move.paused"])
def test_a_move_whose_runner_died_can_be_cancelled(movers, point):
    movers.create({"Acme": "collection"})

    with movers.used("Acme") as said:
        assert movers.move("Acme", "shared", point).wait() == (KILLED, "")
        movers.start(CANCEL).result()
        movers.resume()

    assert movers.problems(said, {"Acme": "collection"}) == {}
    assert movers.look()["Acme"]["moves"] == ["cancelled"]


END_IN_VERIFY = """
def die(run):
    os._exit(0)
copies.CopyRun.verify = die
operations.resume_operations()
"""


def test_the_pause_of_the_dead_ends_before_the_next_runner_looks_at_anything(movers):
    movers.create({"Acme": "collection"})
    assert movers.move("Acme", "database", "move.paused").wait() == (KILLED, "")

    movers.start(END_IN_VERIFY).wait()

    with movers.used("Acme") as said:
        time.sleep(0.5)
    assert (said["Acme"]["busy"], said["Acme"]["wrong"]) == (0, [])
    assert said["Acme"]["longest"] < PAUSE_SECONDS / 2


FREEZE = """
def once(do, when=lambda *_: True):
    done = []
    def first(*arguments, **named):
        if not done and when(*arguments):
            done.append(True)
            freeze()
        return do(*arguments, **named)
    return first
"""


def test_a_running_service_goes_on_with_the_move_of_the_dead(tmp_path, mongo_client):
    with running_service(tmp_path / "served", mongo_client, **TIMING) as service:
        token = service.token("Acme")
        move = PRELUDE + MOVE.replace("name", "'Acme'").replace("kind", "'database'")
        answers = []

        with service.client(0, token) as client:

            def ask() -> str:
                began = time.monotonic()
                answer = client.post("/api/v1/collections/main/documents", json={"n": 1})
                answers.append((answer.status_code, time.monotonic() - began))
                return client.get("/api/v1/organization").json()["placement"]["kind"]

            mover = service.deployment.python(move, TENANTRY_FAILPOINT="move.paused")
            assert mover.returncode == KILLED, mover.stderr
            deadline = time.monotonic() + 20
            while ask() != "database":
                assert time.monotonic() < deadline, answers

    assert {status for status, _ in answers} == {201}
    assert max(seconds for _, seconds in answers) < PAUSE_SECONDS


INSERT = "raw_collections.RawCollection.insert"
ALWAYS = "lambda *_: True"
IN_REPLACE_IDS = "lambda *_: __import__('sys')._getframe(2).f_code.co_name == 'replace_ids'"
# Where a runner is stopped for longer than its lease, and what is put in the place of what.
BEFORE_THE_SWITCH = {
    "between two batches": ("copies.fail_point", ALWAYS),
    "before it inserts what it has read": (INSERT, ALWAYS),
    "between a deletion and what replaces it": (INSERT, IN_REPLACE_IDS),
    "before it announces the pause": ("switching.announce_pause", ALWAYS),
    "in the pause": ("switching.fail_point", ALWAYS),
}  # fmt: skip
AT_THE_SWITCH = {
    "before it writes the catalog row": ("switching._switch_rows", ALWAYS),
    "before it looks for late writes": ("copying.Copy.catch_late", ALWAYS),
    "before it drops the source": ("moving.provisioning.drop_namespace", ALWAYS),
    "while it drops the source": ("provisioning.drop_physical", ALWAYS),
}


def start_sleepers(movers, moments, kinds):
    """Let runners begin to move, each until it freezes; wait until their leases have run out."""
    sleepers = [
        movers.move(name, kinds[name], before=f"{FREEZE}{what} = once({what}, {when})\n")
        for name, (what, when) in zip(kinds, moments.values(), strict=True)
    ]
    for sleeper in sleepers:
        sleeper.wait_until_stopped()
    time.sleep(LEASE_SECONDS)
    return sleepers


def wake(sleepers):
    for sleeper in sleepers:
        sleeper.go_on()
    for sleeper in sleepers:
        sleeper.wait()


def test_a_runner_that_was_frozen_does_no_harm_where_another_has_finished(movers):
    names = [f"At{number}" for number in range(len(BEFORE_THE_SWITCH))]
    movers.create(dict.fromkeys(names, "collection"))
    targets = dict(zip(names, ["database", "shared"] * len(names), strict=False))

    with movers.used(*names) as said:
        sleepers = start_sleepers(movers, BEFORE_THE_SWITCH, targets)
        movers.resume(runners=3)
        wake(sleepers)

    assert movers.problems(said, targets) == {}
    assert movers.start(DOCTOR).result() == []


def test_a_runner_that_was_frozen_does_no_harm_to_an_organization_that_came_back(movers):
    """The source, which the frozen one is about to drop, is in use again when it wakes up."""
    names = [f"At{number}" for number in range(len(AT_THE_SWITCH))]
    movers.create(dict.fromkeys(names, "collection"))
    targets = dict(zip(names, ["database", "shared"] * len(names), strict=False))

    with movers.used(*names) as said:
        sleepers = start_sleepers(movers, AT_THE_SWITCH, targets)
        movers.resume(runners=3)
        for back in [movers.move(name, "collection") for name in names]:
            back.result()
        wake(sleepers)

    assert movers.problems(said, dict.fromkeys(names, "collection")) == {}
    assert movers.start(DOCTOR).result() == []


def test_a_runner_that_wakes_up_beside_its_successor_goes_away(movers):
    movers.create({"Acme": "collection"})
    freeze_in_copy = f"{FREEZE}copies.fail_point = once(copies.fail_point)\n"

    with movers.used("Acme") as said:
        first = movers.move("Acme", "database", before=freeze_in_copy)
        first.wait_until_stopped()
        time.sleep(LEASE_SECONDS)
        second = movers.start(freeze_in_copy + "operations.resume_operations()")
        second.wait_until_stopped()
        first.go_on()
        code, error = first.wait()
        second.go_on()
        second.result()
        movers.resume()

    assert (code, "has taken the operation over" in error) == (1, True)
    assert movers.problems(said, {"Acme": "database"}) == {}
