"""A sign-up under an Idempotency-Key, sent many times at once, and across a killed server."""

import json
from contextlib import contextmanager
from functools import partial

import httpx
import pytest

from benchmarks.local_processes import free_port
from tests.conftest import PASSWORD
from tests.postgres_catalog import postgres_catalog
from tests.processes import QUICK, make_deployment
from tests.servers import SECONDS, at_once, running_service, serving

PARALLEL = 16
SIGNUP = "/api/v1/auth/signup"
BODY = {"organization_name": "Initech", "email": "peter@example.com", "password": PASSWORD}
KEY = {"Idempotency-Key": "one-signup"}
COUNT = """
import json
from accounts.models import *
from tenancy.models import *
print(json.dumps({
    "organizations": list(Organization.objects.values_list("slug", "status")),
    "users": User.objects.count(), "memberships": Membership.objects.count(),
    "records": IdempotencyRecord.objects.count(),
    "resource": str(IdempotencyRecord.objects.get().resource),
}))
"""
# What the lease is for: until it lapses nobody else may try.
LAPSE = """
from django.utils import timezone
from tenancy.models import IdempotencyRecord
assert IdempotencyRecord.objects.filter(status=None).update(lease_until=timezone.now()) == 1
"""

pytestmark = pytest.mark.xdist_group("service")


def counted(deployment):
    done = deployment.python(COUNT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_one_of_each(deployment):
    found = counted(deployment)
    assert found["organizations"] == [["initech", "active"]]
    assert (found["users"], found["memberships"], found["records"]) == (1, 1, 1)
    return found


def race(home, client, **environment):
    with running_service(home, client, **environment) as service:
        ask = partial(service.call, method="POST", path=SIGNUP, json=BODY, headers=KEY)
        answers = at_once([partial(ask, number) for number in range(PARALLEL)])
        last = ask(0)
        found = assert_one_of_each(service.deployment)
    return answers, last, found


def assert_one_did_it(answers, last, found):
    made = [answer for answer in answers if answer.status_code == 201]
    first = [answer for answer in made if "Idempotent-Replayed" not in answer.headers]
    waiting = [answer.json()["code"] for answer in answers if answer.status_code == 409]
    assert len(first) == 1
    assert {answer.content for answer in [*made, last]} == {first[0].content}
    assert set(waiting) <= {"idempotency_in_progress"}
    assert len(made) + len(waiting) == PARALLEL
    assert last.headers["Idempotent-Replayed"] == "true"
    assert first[0].json()["organization"]["id"] == found["resource"]


def test_one_of_many_at_once_does_it_on_sqlite(tmp_path, mongo_client):
    assert_one_did_it(*race(tmp_path / "once_sqlite", mongo_client, **QUICK))


def test_one_of_many_at_once_does_it_on_postgresql(tmp_path, mongo_client):
    with postgres_catalog() as url:
        home = tmp_path / "once_postgres"
        assert_one_did_it(*race(home, mongo_client, DATABASE_URL=url, **QUICK))


@contextmanager
def server(deployment, **environment):
    """One server process of the deployment."""
    port = free_port()
    settings = {**deployment.environment, "PORT": str(port), **environment}
    url = f"http://127.0.0.1:{port}"
    with serving(settings), httpx.Client(base_url=url, timeout=SECONDS) as client:
        yield client


@pytest.mark.parametrize("point", ["create.reserve", "create.provision", "create.activate"])
def test_a_signup_whose_server_died_is_finished_by_its_repeat(tmp_path, mongo_client, point):
    deployment = make_deployment(tmp_path / f"died_{point[7:]}", mongo_client, **QUICK)
    dying = server(deployment, TENANTRY_FAILPOINT=point)
    with dying as client, pytest.raises(httpx.HTTPError):
        client.post(SIGNUP, json=BODY, headers=KEY)
    meant = counted(deployment)["resource"]

    with server(deployment) as client:
        too_early = client.post(SIGNUP, json=BODY, headers=KEY)
        assert deployment.python(LAPSE).returncode == 0
        answer = client.post(SIGNUP, json=BODY, headers=KEY)
        replay = client.post(SIGNUP, json=BODY, headers=KEY)
        token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        seen = client.get("/api/v1/organization", headers=token)

    assert (too_early.status_code, too_early.json()["code"]) == (409, "idempotency_in_progress")
    assert answer.status_code == 201, answer.text
    assert answer.json()["organization"]["id"] == meant
    assert (replay.content, replay.headers["Idempotent-Replayed"]) == (answer.content, "true")
    assert seen.json()["name"] == "Initech"
    assert_one_of_each(deployment)
    mongo_client.drop_database(deployment.tenants)
