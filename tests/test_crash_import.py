"""An import over real HTTP whose client hangs up and whose server is killed: all is there, once."""

from functools import partial

import httpx
import pytest

from benchmarks.drill_interruptions import (
    HungUp,
    body_of,
    do_when,
    insist_on_import,
    running_server,
    send_import,
)
from tests.conftest import PASSWORD
from tests.processes import make_deployment
from tests.servers import at_once

LINES = 20_000
KILLED_AT = (5_000, 12_000)
SIGNUP = {"organization_name": "Acme", "email": "alice@example.com", "password": PASSWORD}

pytestmark = pytest.mark.xdist_group("service")


def test_an_import_that_is_interrupted_again_and_again_is_done_once(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path / "import", mongo_client)
    stored, body = deployment.tenants["org_acme"], body_of(range(LINES))

    with running_server(deployment.environment, tmp_path) as (client, kill):
        token = client.post("/api/v1/auth/signup", json=SIGNUP).json()["access_token"]
        with pytest.raises(HungUp):
            send_import(client, token, "one", body, hang_up_after=len(body) // 8)
        interrupt(client, kill, stored, token, body, KILLED_AT[0])
    with running_server(deployment.environment, tmp_path) as (client, kill):
        interrupt(client, kill, stored, token, body, KILLED_AT[1])
    with running_server(deployment.environment, tmp_path) as (client, _):
        answer = insist_on_import(client, token, "one", body)
        again = send_import(client, token, "one", body)
        parallel = [
            partial(send_import, client, token, "two", body_of(range(LINES, LINES + 4_000)))
        ]
        both = at_once(parallel * 2)

    assert (answer.status_code, answer.json()["inserted"]) == (200, LINES), answer.text
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    assert 200 in {each.status_code for each in both} <= {200, 409}
    found = sorted(row["n"] for row in stored.find({}, {"n": 1}))
    assert found == list(range(LINES + 4_000))
    mongo_client.drop_database(deployment.tenants)


def interrupt(client, kill, stored, token, body, at):
    """Kill the server once so many documents are there; some of the rest must be missing.

    Whoever hung up may still be served for a moment, and MongoDB may still hold what the server
    before was doing: until then it is sent again.
    """
    killer = do_when(lambda: stored.count_documents({}) >= at, kill)
    with pytest.raises(httpx.HTTPError):
        insist_on_import(client, token, "one", body)
    killer.join()
    assert at <= stored.count_documents({}) < LINES
