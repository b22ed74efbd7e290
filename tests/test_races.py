"""Many at once, against two servers: one winner, and losers leave nothing behind."""

from collections import Counter
from functools import partial

import pytest

from tests.conftest import PASSWORD
from tests.servers import Service, at_once, running_service

pytestmark = pytest.mark.xdist_group("service")

PARALLEL = 20
# Long enough for a busy machine, short enough for a test that waits for what comes after it.
WAITS = {"TENANCY_OPERATION_TIMEOUT": "2.5"}


@pytest.fixture(scope="module", params=["name", "id"])
def service(request, tmp_path_factory, mongo_client):
    home = tmp_path_factory.mktemp(f"races_{request.param}")
    with running_service(home, mongo_client, TENANCY_NAMING=request.param, **WAITS) as service:
        yield service


def rows(service: Service, expression: str) -> int:
    """Count rows of the catalog, in a process of the product."""
    code = "from tenancy.models import *; from accounts.models import *; print({})"
    done = service.deployment.python(code.format(expression))
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def statuses(answers) -> Counter:
    return Counter(answer.status_code for answer in answers)


def test_one_of_many_signups_with_one_name_wins(service):
    people = [f"person{number}@names.example" for number in range(PARALLEL)]
    spelled = ["Race One", "RACE ONE", " race  one", "Race-One"]

    answers = at_once(
        [
            partial(service.sign_up, spelled[number % 4], number, email)
            for number, email in enumerate(people)
        ]
    )

    assert statuses(answers) == {201: 1, 409: PARALLEL - 1}
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"name_taken"}
    assert rows(service, "User.objects.filter(email__endswith='@names.example').count()") == 1
    assert rows(service, "Organization.objects.filter(slug='race-one').count()") == 1
    assert service.findings() == []


def test_one_of_many_signups_with_one_email_wins(service):
    spelled = ["one@emails.example", "ONE@emails.example", "One@Emails.Example"]

    answers = at_once(
        [
            partial(service.sign_up, f"Mail {number}", number, spelled[number % 3])
            for number in range(PARALLEL)
        ]
    )

    assert statuses(answers) == {201: 1, 409: PARALLEL - 1}
    assert rows(service, "Organization.objects.filter(slug__startswith='mail-').count()") == 1
    assert rows(service, "SlugReservation.objects.filter(slug__startswith='mail-').count()") == 1
    assert service.findings() == []


def test_compatibility_route_says_400_to_the_losers(service):
    def create(number: int):
        body = {
            "organization_name": "Old Race",
            "email": f"old{number}@example.com",
            "password": PASSWORD,
        }
        return service.call(number, "POST", "/org/create", json=body)

    answers = at_once([partial(create, number) for number in range(PARALLEL)])

    assert statuses(answers) == {201: 1, 400: PARALLEL - 1}
    assert all("detail" in answer.json() for answer in answers if answer.status_code == 400)


def test_one_of_many_renames_to_one_name_wins(service):
    tokens = [service.token(f"Runner {number}") for number in range(PARALLEL)]

    answers = at_once(
        [
            partial(
                service.call, number, "PATCH", "/api/v1/organization",
                token=token, json={"name": "Finish Line"},
            )
            for number, token in enumerate(tokens)
        ]
    )  # fmt: skip

    assert statuses(answers) == {200: 1, 409: PARALLEL - 1}
    assert rows(service, "Organization.objects.filter(slug__startswith='runner-').count()") == 19
    assert service.findings() == []


def test_many_renames_of_one_organization_leave_one_name(service):
    token = service.token("Wanderer")
    service.call(0, "PUT", "/api/v1/collections/main/documents/x", token=token, json={"n": 1})

    answers = at_once(
        [
            partial(
                service.call, number, "PATCH", "/api/v1/organization",
                token=token, json={"name": f"Place {number}"},
            )
            for number in range(8)
        ]
    )  # fmt: skip

    assert set(statuses(answers)) <= {200, 409}
    assert statuses(answers)[200] >= 1
    found = service.call(1, "GET", "/api/v1/collections/main/documents/x", token=token)
    assert found.json()["n"] == 1
    assert service.findings() == []


def test_deletion_racing_a_rename_ends_in_one_of_two_outcomes(service):
    for number in range(6):
        token = service.token(f"Target {number}")
        document = "/api/v1/collections/main/documents/x"
        service.call(0, "PUT", document, token=token, json={"n": 1})
        rename = partial(
            service.call, 0, "PATCH", "/api/v1/organization",
            token=token, json={"name": f"Moved {number}"},
        )  # fmt: skip

        delete = partial(service.call, 1, "DELETE", "/org/delete", token=token)
        renamed, deleted = at_once([rename, delete])

        assert deleted.status_code == 200, deleted.text
        assert renamed.status_code in {200, 401, 409, 410}, renamed.text

    assert service.findings() == []
    left = "Organization.objects.filter(slug__regex='^(target|moved)-').count()"
    assert rows(service, left) == 0
    names = " ".join(service.deployment.physical())
    assert "target" not in names
    assert "moved" not in names
