"""With Redis what ends in one server process ends in another long before its cache would say so.

Rows may be believed for an hour here, so only a message can end anything; the second half has a
short bound and a Redis that dies.
"""

import threading

import orjson
import pytest
from redis import Redis

from tests.redis_servers import running_redis, wait_until
from tests.servers import running_service
from tests.test_revocation import (
    DOCUMENTS,
    demote,
    log_out,
    make_key,
    open_offices,
    remove,
    require_two_factors,
    revoke_key,
    warm,
)

pytestmark = pytest.mark.xdist_group("service")

HOUR = {"ACCOUNTS_ROW_TTL": "3600", "DJANGO_SETTINGS_MODULE": "tests.hour_settings"}
READY, METRICS = "/readyz", "/metrics"
ENDINGS = {
    "demoted": (demote, "token_revoked"),
    "removed": (remove, "token_revoked"),
    "signed-out": (log_out, "token_revoked"),
    "two-factors": (require_two_factors, "two_factor_enrollment_required"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory, mongo_client, server):
    home = tmp_path_factory.mktemp("changes")
    with running_service(
        home, mongo_client, REDIS_URL=server.url, METRICS_TOKEN="figures", **HOUR
    ) as service:
        yield service


@pytest.fixture(scope="module")
def offices(service):
    return open_offices(service, dict.fromkeys([*ENDINGS, "keyed", "back", "idle"], "editor"))


def changes(service, number):
    return service.call(number, "GET", READY).json()["changes"]


def write(service, number, token):
    return service.call(number, "POST", DOCUMENTS, token=token, json={"n": 1})


def wait_until_refused(service, token, code):
    """Wait until the second process refuses the credential, and see that it is for this reason."""
    refused = []

    def is_refused():
        answer = write(service, 1, token)
        if answer.status_code != 201:
            refused.append(answer)
        return bool(refused)

    wait_until(is_refused)
    assert refused[0].json()["code"] == code, refused[0].text


@pytest.mark.parametrize("slug", ENDINGS)
def test_what_ends_in_one_process_ends_in_the_other(service, offices, slug):
    act, code = ENDINGS[slug]
    office = offices[slug]
    warm(service, office.editor)

    assert act(office).status_code in (200, 204)

    wait_until_refused(service, office.editor, code)


def test_key_that_is_revoked_in_one_process_is_refused_by_the_other(service, offices):
    key = make_key(offices["keyed"])
    warm(service, key)

    assert revoke_key(offices["keyed"]).status_code == 204

    wait_until_refused(service, key, "token_revoked")


def test_command_tells_of_its_change_before_it_ends(service, offices, server):
    with Redis(port=server.port) as client, client.pubsub() as ears:
        ears.subscribe("tenantry:changes")
        assert ears.get_message(timeout=5)["type"] == "subscribe"

        done = service.deployment.manage("suspend_organization", "idle")

        said = orjson.loads(ears.get_message(timeout=5)["data"])
    assert done.returncode == 0, done.stderr
    assert (said["kind"], list(said["ids"])) == ("tenants", ["organization_id"])


def test_both_processes_say_that_they_hear_and_count_it(service, offices):
    assert [changes(service, number) for number in (0, 1)] == ["ok", "ok"]

    text = service.call(1, "GET", METRICS, token="figures").text

    assert 'tenantry_cache_messages_total{process="' in text
    assert 'what="heard"' in text


def test_redis_that_was_killed_and_is_back_carries_changes_again(service, offices, server):
    office = offices["back"]
    server.kill()
    wait_until(lambda: changes(service, 0) == changes(service, 1) == "degraded")
    warm(service, office.editor)
    server.start()
    wait_until(lambda: changes(service, 0) == changes(service, 1) == "ok")
    warm(service, office.editor)

    assert demote(office).status_code == 200

    wait_until_refused(service, office.editor, "token_revoked")


@pytest.mark.parametrize("outage", ["kill", "freeze"])
def test_while_redis_is_out_requests_go_on_and_the_bound_holds(tmp_path, mongo_client, outage):
    with (
        running_redis(tmp_path) as server,
        running_service(
            tmp_path / "served", mongo_client, REDIS_URL=server.url, ACCOUNTS_ROW_TTL="2"
        ) as service,
    ):
        office = open_offices(service, {"acme": "editor"})["acme"]
        warm(service, office.editor)
        answers, stop = [], threading.Event()

        def read(number):
            with service.client(number, office.owner) as client:
                while not stop.is_set():
                    answers.append(client.get(DOCUMENTS).status_code)

        readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        for reader in readers:
            reader.start()
        getattr(server, outage)()
        demoted = demote(office)
        wait_until_refused(service, office.editor, "token_revoked")
        wait_until(lambda: changes(service, 0) == changes(service, 1) == "degraded")
        stop.set()
        for reader in readers:
            reader.join()
        if outage == "freeze":
            server.thaw()

    assert demoted.status_code == 200
    assert set(answers) == {200}
