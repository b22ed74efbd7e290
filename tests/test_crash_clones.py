"""Kill the process that clones after every step: the next one finishes the clone, or undoes it."""

import pytest

from tests.movers import DOCTOR, Movers
from tests.test_crash import KILLED, points_of
from tests.test_crash_moves import catalog_file, movers

__all__ = ["catalog_file", "movers"]

pytestmark = [pytest.mark.needs_mongod, pytest.mark.xdist_group("moves")]

POINTS = [
    "clone.reserve", "clone.prepare", "clone.copying", "clone.copy", "clone.index",
    "clone.settle", "clone.activate",
]  # fmt: skip
CLONE = "lifecycle.clone_organization(find('Acme').pk, 'Staging', by=BY)\n"
NEVER_SETTLES = """
def settle(copy):
    raise PlacementDisturbed
copies.CopyRun.settle = settle
"""


def test_every_step_of_a_clone_is_tested_here():
    assert {*points_of("clone"), "clone.copying"} == set(POINTS)


@pytest.mark.parametrize("kind", ["shared", "collection"])
def test_one_runner_after_the_other_dies_and_the_next_goes_on(movers: Movers, kind):
    movers.create({"Acme": kind})

    with movers.used("Acme") as said:
        for point in POINTS:
            act = CLONE if point == "clone.reserve" else "operations.resume_operations()"
            assert movers.start(act, point).wait() == (KILLED, ""), point
        movers.resume()

    assert movers.problems(said, {"Acme": kind}) == {}
    clone = movers.look()["Staging"]
    assert [each for each in clone["ids"] if not isinstance(each, str)] == [*range(2_100)]
    assert movers.start(DOCTOR).result() == []


def test_undoing_that_was_interrupted_is_finished(movers: Movers):
    movers.create({"Acme": "collection"})

    with movers.used("Acme") as said:
        assert movers.start(NEVER_SETTLES + CLONE, "clone.undo").wait() == (KILLED, "")
        movers.resume()

    assert movers.problems(said, {"Acme": "collection"}) == {}
    assert [*movers.look()] == ["Acme"]
    assert movers.start(DOCTOR).result() == []
