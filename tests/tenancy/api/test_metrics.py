"""/metrics: for whoever has the token, true of all processes, silent about names."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tenancy import lifecycle
from tests.conftest import ACTOR

TOKEN = "a-token-for-prometheus"


def scrape(client, token=TOKEN):
    return client.get("/metrics", headers={"Authorization": f"Bearer {token}"})


def samples(answer):
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def with_token(settings):
    settings.METRICS_TOKEN = TOKEN


def test_without_a_token_in_the_settings_nobody_reads_them(nobody, mongo):
    answers = [nobody.get("/metrics"), scrape(nobody), scrape(nobody, token="")]

    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("token", ["", "wrong", "é", TOKEN + "x"])
def test_wrong_token_reads_nothing(with_token, nobody, mongo, token):
    assert scrape(nobody, token).status_code == 404


def test_they_count_organizations_and_what_is_up(with_token, acme, globex, nobody):
    lifecycle.suspend_organization(globex.id, by=ACTOR)

    found = samples(scrape(nobody))

    assert found["tenantry_organizations", "active"] == 1
    assert found["tenantry_organizations", "suspended"] == 1
    assert found["tenantry_up", "catalog"] == found["tenantry_up", "cluster"] == 1


def test_they_count_open_and_failed_operations(with_token, acme, nobody):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert samples(scrape(nobody))["tenantry_operations", "purge", "pending"] == 1


def test_they_name_no_organization(with_token, acme, nobody):
    answer = scrape(nobody)

    assert answer["Content-Type"].startswith("text/plain")
    assert "acme" not in answer.content.decode().lower()


def test_cluster_that_is_down_is_said(with_token, acme, nobody, settings):
    settings.MONGODB_URI = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"

    assert samples(scrape(nobody))["tenantry_up", "cluster"] == 0
