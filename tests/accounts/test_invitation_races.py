"""Whatever many do to one invitation at once, one of them does it; on either catalog."""

import json

import pytest

from tests.processes import make_deployment
from tests.test_refresh_races import postgres  # noqa: F401 -- a fixture

ROUNDS = 4


def race(home, client, **environment):
    deployment = make_deployment(home, client, **environment)
    done = deployment.python(f"from tests.invitation_races import run; print(run({ROUNDS}))")
    client.drop_database(deployment.tenants)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_each_time(outcomes, *expected):
    assert len(outcomes) == ROUNDS
    assert [outcome for outcome in outcomes if outcome not in expected] == []


def assert_one_winner_each(report):
    assert_each_time(
        report["accept_at_once"], {"done": 1, "InvitationExpired": 15, "members": 1, "sessions": 1}
    )
    assert_each_time(
        report["revoke_and_accept"], {"done": 1, "InvitationExpired": 5, "consistent": True}
    )
    assert_each_time(report["invite_at_once"], {"done": 1, "AlreadyExists": 7, "rows": 1})
    assert_each_time(report["resend_at_once"], {"done": 1, "RateLimited": 7, "sent": 2})
    assert_each_time(report["fill_at_once"], {"done": 1, "PlanLimitReached": 5, "open": 5})
    assert_each_time(report["log_in_and_accept"], {"done": 8, "members": 2})
    for outcome in report["delete_and_accept"]:
        assert set(outcome["errors"]) <= {"done", "InvitationExpired", "OrganizationDeleted"}
        assert (outcome["open_sessions"], outcome["status"]) == (0, "deleting")


def test_one_of_many_on_sqlite(tmp_path, mongo_client):
    assert_one_winner_each(race(tmp_path / "invitations_sqlite", mongo_client))


@pytest.mark.xdist_group("postgres")
def test_one_of_many_on_postgresql(tmp_path, mongo_client, postgres):  # noqa: F811
    home = tmp_path / "invitations_postgres"

    assert_one_winner_each(race(home, mongo_client, DATABASE_URL=postgres))
