"""The OpenAPI document holds for requests that are made up from it; `make fuzz` sends many more."""

import pytest

from benchmarks.fuzz import read_options, run

pytestmark = pytest.mark.xdist_group("service")
EXAMPLES = 4
DATA = r"/collections|/operations|/organization$|/errors"


def test_requests_made_up_from_the_document_are_answered_as_it_says(capfd):
    options = read_options(["--examples", str(EXAMPLES), "--only", DATA])

    status = run(options)

    assert status == 0, capfd.readouterr().out[-8_000:]
