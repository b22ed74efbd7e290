"""The commands about clusters, and that none of them shows a URI."""

import io
import json
import os
import sys

import pytest
from cryptography.fernet import Fernet

from tenancy import lifecycle
from tenancy.models import AuditEvent, Cluster
from tests.conftest import ACTOR
from tests.environment import SECOND_URI
from tests.tenancy.management.test_commands import run, run_json

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.needs_mongod,
    pytest.mark.usefixtures("quick", "mongo"),
]

VARIABLE = "TENANTRY_CLUSTER_URI"
NOWHERE = "mongodb://u:hunter2@127.0.0.1:1/?directConnection=true"


@pytest.fixture(autouse=True)
def no_given_uri(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def given(monkeypatch):
    monkeypatch.setenv(VARIABLE, os.environ[SECOND_URI])


def test_added_cluster_is_examined_and_listed(given):
    done = run(
        "add_cluster", "eu-1", "--region", "eu", "--ceiling", "500", "--note", "rack 4",
        "--closed", "--database", "tenants",
    )  # fmt: skip

    assert (done.code, done.failure) == (0, "")
    assert "replica set tenantry, MongoDB 6.0" in done.text
    row = Cluster.objects.get(alias="eu-1")
    assert (row.region, row.ceiling, row.note) == ("eu", 500, "rack 4")
    assert (row.accepts_new, row.database) == (False, "tenants")
    listed = {each["alias"]: each for each in run_json("list_clusters")["clusters"]}
    assert listed["eu-1"]["ceiling"] == 500
    assert (listed["eu-1"]["reachable"], listed["default"]["reachable"]) == (True, True)
    assert listed["eu-1"]["facts"]["load"]["max_open_files"] > 0


def test_uri_comes_from_a_file_or_standard_input(tmp_path, monkeypatch):
    (tmp_path / "uri").write_text(os.environ[SECOND_URI] + "\n")
    assert run("add_cluster", "a", "--uri-file", str(tmp_path / "uri")).code == 0
    assert run("remove_cluster", "a").code == 0

    monkeypatch.setattr(sys, "stdin", io.StringIO(os.environ[SECOND_URI]))
    assert run("add_cluster", "b", "--uri-file", "-").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a"], "A URI is needed"),
        (["a", "--uri-file", "/nowhere/uri"], "cannot be read"),
        (["a", "--uri-file", os.devnull], "is not one URI"),
    ],
)
def test_missing_uri_is_a_sentence(arguments, said):
    done = run("add_cluster", *arguments)

    assert (done.code, said in done.failure) == (1, True), done.failure


@pytest.mark.parametrize("alias", ["", "Über", "-a", "a b", "a" * 49])
def test_alias_is_plain(alias, given):
    assert "An alias is" in run("add_cluster", "--", alias).failure


@pytest.mark.parametrize(
    ("option", "value"),
    [("--region", "EU West"), ("--database", "admin"), ("--database", "org_x"), ("--ceiling", "0")],
)
def test_impossible_trait_is_refused(option, value, given):
    assert run("add_cluster", "a", option, value).code == 1
    assert not Cluster.objects.filter(alias="a").exists()


def test_cluster_that_is_unfit_is_refused_unless_forced(monkeypatch):
    monkeypatch.setenv(VARIABLE, NOWHERE)

    refused = run("add_cluster", "a")
    assert "It was not reached" in refused.failure
    assert not Cluster.objects.filter(alias="a").exists()
    assert run("add_cluster", "a", "--force").code == 0
    checked = run("check_cluster", "a")
    assert (checked.code, checked.failure) == (1, "1 problem found.")


@pytest.mark.parametrize("text", ["hunter2", "http://h", "mongodb://h/?nothing=1"])
def test_what_is_no_uri_is_refused_even_forced(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)

    assert "The URI of the cluster" in run("add_cluster", "a", "--force").failure
    assert not Cluster.objects.filter(alias="a").exists()


def test_known_deployment_is_refused_under_another_name_even_forced(given, second_cluster):
    done = run("add_cluster", "again", "--force")

    assert "It is the cluster “second”" in done.failure
    assert run("add_cluster", "again", "--database", "another").code == 0


def test_default_deployment_is_known_though_its_hosts_are_spelled_otherwise(monkeypatch):
    monkeypatch.setenv(VARIABLE, os.environ["MONGODB_URI"].replace("127.0.0.1", "localhost"))

    assert "It is the cluster “default”" in run("add_cluster", "again").failure


def test_missing_cluster_is_a_sentence():
    for command in ("check_cluster", "change_cluster", "remove_cluster"):
        assert run(command, "none").failure == "There is no cluster “none”."


def test_check_says_what_a_good_cluster_is(second_cluster):
    done = run("check_cluster", "second")

    assert (done.code, done.failure) == (0, "")
    for fact in ("Hosts", "Oplog", "JavaScript    off", "Write concern majority", "Full"):
        assert fact in done.text


def test_full_cluster_is_a_problem(second_cluster):
    lifecycle.create_organization("Acme", by=ACTOR, kind="cluster")
    Cluster.objects.filter(pk=second_cluster.pk).update(ceiling=2)

    done = run("list_clusters")

    assert done.code == 1
    assert "second: It is" in done.text
    assert "% full" in done.text


def test_change_keeps_what_is_not_given(second_cluster):
    assert run_json("change_cluster", "second", "--region", "eu")["changed"] == ["region"]
    assert run_json("change_cluster", "second", "--closed")["changed"] == ["accepts_new"]

    second_cluster.refresh_from_db()
    assert (second_cluster.region, second_cluster.accepts_new) == ("eu", False)
    assert run("change_cluster", "second").text == "Nothing changed.\n"


def test_region_does_not_change_under_those_who_are_bound_to_it(second_cluster):
    run("change_cluster", "second", "--region", "eu")
    lifecycle.create_organization("Acme", by=ACTOR, region="eu")

    assert "bound to another region" in run("change_cluster", "second", "--region", "us").failure


def test_cluster_with_tenants_stays(second_cluster):
    Cluster.objects.filter(alias="default").update(accepts_new=False)
    lifecycle.create_organization("Acme", by=ACTOR)

    assert "1 organizations live" in run("remove_cluster", "second").failure
    assert "stays" in run("remove_cluster", "default").failure


def test_uri_of_the_default_cluster_is_a_setting(given):
    Cluster.objects.get_or_create(alias="default")

    done = run("change_cluster", "default")

    assert done.failure == "The URI of the cluster “default” is MONGODB_URI."


def test_acts_are_in_the_audit_without_the_uri(given):
    run("add_cluster", "a")
    run("change_cluster", "a", "--note", "x")
    run("remove_cluster", "a")

    events = list(AuditEvent.objects.order_by("id").values_list("action", "actor", "details"))
    assert [event[0] for event in events] == [
        "cluster.added", "cluster.changed", "cluster.removed",
    ]  # fmt: skip
    assert "mongodb" not in json.dumps(events)


def test_keys_are_rotated(second_cluster, settings):
    (old,) = settings.FIELD_ENCRYPTION_KEYS
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]

    assert run_json("rotate_encryption_keys") == {"reencrypted": 1}
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert run("check_cluster", "second").code == 0
    assert run_json("rotate_encryption_keys") == {"reencrypted": 0}
    settings.FIELD_ENCRYPTION_KEYS = [old]
    assert "cannot be decrypted" in run("check_cluster", "second").text
    assert "cannot be decrypted" in run("rotate_encryption_keys").failure
