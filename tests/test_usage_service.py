"""Servers that are stopped have written down what they had counted."""

import pytest

from tests.http import DOCUMENTS
from tests.servers import running_service

pytestmark = pytest.mark.xdist_group("service")

READ = "from tenancy.models import Usage\nprint(Usage.objects.get().documents)"


def test_a_graceful_stop_loses_no_count(tmp_path, mongo_client):
    with running_service(tmp_path / "usage", mongo_client) as service:
        token = service.token("Counted")
        for number in range(40):
            answer = service.call(number, "POST", DOCUMENTS, token=token, json={"n": number})
            assert answer.status_code == 201, answer.text
        deployment = service.deployment

    assert deployment.python(READ).stdout.strip() == "40"
