"""A code works once, whoever shows it how often at once, on either catalog."""

import json

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.processes import make_deployment
from tests.two_factor_races import THREADS

ONE_WINNER = {"good": 1, "refused": THREADS - 1}


def race(home, client, **environment):
    # Every code counts against the limit of the account; here the codes themselves are tested.
    deployment = make_deployment(
        home, client, RATE_LIMITS="off", EMAIL_URL="dummymail://", **environment
    )
    done = deployment.python("from tests.two_factor_races import run; print(run())")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def assert_each_works_once(report):
    assert report["code"] == ONE_WINNER
    assert report["recovery_code"] == ONE_WINNER
    assert report["guess"] == {"refused": THREADS}
    assert report["guesses_counted"] == 1
    assert report["confirm"] == ONE_WINNER
    assert report["codes_of_other"] == 10


def test_codes_work_once_on_sqlite(tmp_path, mongo_client):
    assert_each_works_once(race(tmp_path / "codes_sqlite", mongo_client))


@pytest.mark.xdist_group("postgres")
def test_codes_work_once_on_postgresql(tmp_path, mongo_client):
    with postgres_catalog() as url:
        assert_each_works_once(race(tmp_path / "codes_postgres", mongo_client, DATABASE_URL=url))
