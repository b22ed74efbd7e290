"""The same service on a catalog in PostgreSQL."""

from functools import partial

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.servers import Service, at_once, running_service
from tests.tenancy.lifecycle.test_preferences import KEPT_NUMBERS, NUMBERS

pytestmark = pytest.mark.xdist_group("postgres")

PARALLEL = 20


@pytest.fixture(scope="module")
def catalog_url():
    """The URL of a database of its own on a running PostgreSQL."""
    with postgres_catalog() as url:
        yield url


@pytest.fixture(scope="module")
def service(catalog_url, tmp_path_factory, mongo_client):
    home = tmp_path_factory.mktemp("postgres")
    waits = {"TENANCY_OPERATION_TIMEOUT": "2.5"}
    with running_service(home, mongo_client, DATABASE_URL=catalog_url, **waits) as service:
        yield service


def count(answers, status: int) -> int:
    return sum(answer.status_code == status for answer in answers)


def test_one_of_many_signups_with_one_name_wins(service: Service):
    answers = at_once(
        [
            partial(service.sign_up, "Elephant", number, f"e{number}@example.com")
            for number in range(PARALLEL)
        ]
    )

    assert (count(answers, 201), count(answers, 409)) == (1, PARALLEL - 1)


def test_one_of_many_renames_to_one_name_wins(service: Service):
    tokens = [service.token(f"Herd {number}") for number in range(10)]
    rename = partial(service.call, method="PATCH", path="/api/v1/organization")

    answers = at_once(
        [
            partial(rename, number, token=token, json={"name": "Matriarch"})
            for number, token in enumerate(tokens)
        ]
    )

    assert (count(answers, 200), count(answers, 409)) == (1, 9)


def test_settings_come_back_as_they_were_put_in(service: Service):
    token = service.token("Numbers")
    change = partial(service.call, 0, "PATCH", "/api/v1/organization", token=token)
    assert change(json={"settings": {"a": 1e300}}).status_code == 422

    answer = change(json={"settings": {"numbers": NUMBERS}})

    read = service.call(1, "GET", "/api/v1/organization", token=token)
    for each in (answer, read):
        assert repr(each.json()["settings"]) == repr({"numbers": KEPT_NUMBERS})


def test_whole_life_of_an_organization(service: Service):
    token = service.token("Calf")
    path = "/api/v1/collections/main/documents/x"
    assert service.call(0, "PUT", path, token=token, json={"n": 1}).status_code == 201

    renamed = service.call(1, "PATCH", "/api/v1/organization", token=token, json={"name": "Bull"})

    assert renamed.json()["placement"]["namespace"] == "org_bull"
    assert service.call(0, "GET", path, token=token).json()["n"] == 1
    deleted = service.call(1, "DELETE", "/org/delete", token=token)
    assert deleted.status_code == 200, deleted.text
    assert service.call(0, "GET", path, token=token).status_code in {401, 410}
    assert service.findings() == []
