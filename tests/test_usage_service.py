"""Servers that are stopped have written down what they had counted."""

import pytest

from tests.http import DOCUMENTS
from tests.servers import running_service

pytestmark = pytest.mark.xdist_group("service")

READ = (
    "from tenancy.models import Usage\nused = Usage.objects.get()\n"
    "print(used.documents, used.measured_at is None)"
)
# A server measures what has run for a while, and what is written meanwhile may count twice.
ATTEMPTS = 3


def count_of_a_stopped_service(home, mongo_client):
    """Return how many documents are written down, and whether they were counted alone."""
    with running_service(home, mongo_client) as service:
        token = service.token("Counted")
        for number in range(40):
            answer = service.call(number, "POST", DOCUMENTS, token=token, json={"n": number})
            assert answer.status_code == 201, answer.text
        deployment = service.deployment

    return deployment.python(READ).stdout.split()


def test_a_graceful_stop_loses_no_count(tmp_path, mongo_client):
    for number in range(ATTEMPTS):
        count, is_unmeasured = count_of_a_stopped_service(tmp_path / f"usage{number}", mongo_client)
        if is_unmeasured == "True":
            break

    assert (count, is_unmeasured) == ("40", "True")
