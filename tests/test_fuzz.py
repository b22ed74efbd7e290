"""The OpenAPI document holds for requests that are made up from it; `make fuzz` sends many more."""

import pytest

from benchmarks.fuzz import read_options, run

pytestmark = pytest.mark.xdist_group("service")
# One process: for so few examples most of what it takes is its start.
DATA = "/collections|/organization$|/errors"
BOUNDS = ("--examples", "2", "--phases", "examples,fuzzing", "--seed", "1", "--only", DATA,
          "--processes", "1")  # fmt: skip


def test_requests_made_up_from_the_document_are_answered_as_it_says(capfd):
    status = run(read_options([*BOUNDS]))

    assert status == 0, capfd.readouterr().out[-8_000:]
