"""A refresh token has one successor, whoever asks how often, on either catalog."""

import json

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.processes import make_deployment
from tests.servers import at_once, running_service

ROUNDS = 50
LOG_IN, REFRESH = "/api/v1/auth/login", "/api/v1/auth/refresh"


@pytest.fixture
def postgres():
    """The URL of a database of its own on a running PostgreSQL."""
    with postgres_catalog() as url:
        yield url


def race(home, client, **environment):
    deployment = make_deployment(home, client, **environment)
    done = deployment.python(f"from tests.refresh_races import run; print(run({ROUNDS}))")
    client.drop_database(deployment.tenants)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_one_winner_each(report):
    assert (report["rounds"], report["threads"]) == (ROUNDS, 32)
    assert report["successors"] == ROUNDS
    assert (report["reused"], report["successor"]) == ("refresh_reused", "refresh_reused")
    assert report["revoked_for"] == "refresh_reused"


def test_32_threads_get_one_successor_each_round_on_sqlite(tmp_path, mongo_client):
    assert_one_winner_each(race(tmp_path / "refresh_sqlite", mongo_client))


@pytest.mark.xdist_group("postgres")
def test_32_threads_get_one_successor_each_round_on_postgresql(tmp_path, mongo_client, postgres):
    home = tmp_path / "refresh_postgres"

    assert_one_winner_each(race(home, mongo_client, DATABASE_URL=postgres))


@pytest.mark.xdist_group("service")
def test_two_servers_tell_of_one_successor(tmp_path, mongo_client):
    with running_service(tmp_path / "refresh_http", mongo_client, RATE_LIMITS="off") as service:
        token = service.sign_up("Tabs").json()["refresh_token"]
        for _ in range(5):
            calls = [
                lambda number=number, token=token: service.call(
                    number, "POST", REFRESH, json={"refresh_token": token}
                )
                for number in range(16)
            ]
            answers = at_once(calls)

            assert {answer.status_code for answer in answers} == {200}
            tokens = {answer.json()["refresh_token"] for answer in answers}
            assert len(tokens) == 1
            token = tokens.pop()
