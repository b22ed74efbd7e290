"""A purge leaves a record of what it removed, and nothing of whose it was."""

import json
import time

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from tenancy import lifecycle
from tenancy.audit import record_event
from tenancy.audit_chain import verify_chain
from tenancy.context import Origin, origin_context
from tenancy.exceptions import QueryTimeout
from tenancy.lifecycle import erasure
from tenancy.models import AuditEvent, ErasureRecord, Operation, Usage
from tenancy.mongo import provisioning
from tenancy.operations import resume_operations
from tests.conftest import ACTOR
from tests.http import document_url, send
from tests.placements import place

pytestmark = pytest.mark.usefixtures("quick")


def purge(cast):
    lifecycle.delete_organization(cast.id, by=ACTOR, purge=True)
    return purge_done(cast)


def purge_done(cast):
    deadline = time.monotonic() + 15
    while Operation.objects.open().exists() and time.monotonic() < deadline:
        resume_operations()
        time.sleep(0.05)
    return ErasureRecord.objects.get(organization=cast.organization)


def fill(client):
    for number in range(3):
        send(client, "PUT", document_url(f"{number}"), {"text": "x" * 20})
    send(client, "PUT", document_url("n", "notes"), {"n": 1})


@pytest.mark.parametrize("kind", ["collection", "shared"])
def test_the_record_says_what_was_removed(acme, alice, kind):
    place(acme.organization, kind)
    fill(alice)
    namespace = acme.organization.placement.namespace

    record = purge(acme)

    assert (record.collections, record.documents, record.members) == (2, 4, 3)
    assert 100 < record.bytes < 300
    assert {"kind": kind, "cluster": "default", "namespace": namespace} in record.places
    assert {each["kind"] for each in record.places} == {kind}
    assert record.by == ACTOR
    assert not Usage.objects.filter(organization=acme.organization).exists()


def test_it_holds_no_name_and_no_address(acme, alice):
    fill(alice)

    record = purge(acme)

    text = json.dumps([str(value) for value in vars(record).values()])
    assert "example.com" not in text
    assert "Acme" not in text


def test_the_audit_keeps_its_chain_and_no_address(acme, alice, bob):
    with origin_context(Origin("request-1", "203.0.113.7")):
        record_event(acme.organization, "session.opened", by="user:x")
        lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
        record = purge_done(acme)

    events = AuditEvent.objects.in_chain(str(acme.id))
    digests = events.exclude(address_digest="").count()
    assert record.audit_addresses == digests >= 2
    assert not events.exclude(address=None, address_salt="").exists()
    assert events.filter(action="organization.purged").exists()
    assert verify_chain(str(acme.id)).is_whole


def test_what_a_repeat_finds_gone_is_in_the_record(acme, alice, monkeypatch):
    fill(alice)
    real, calls = provisioning.drop_namespace, []

    def drop(*arguments, **options):
        calls.append(real(*arguments, **options))
        if len(calls) == 1:
            raise QueryTimeout  # after the data is gone: the step is done again
        return calls[-1]

    monkeypatch.setattr(provisioning, "drop_namespace", drop)

    assert purge(acme).documents == 4


def test_what_cannot_be_measured_is_taken_from_what_was_counted(acme, monkeypatch):
    def fail(*_, **__):
        raise QueryTimeout

    monkeypatch.setattr(erasure, "measure_collection", fail)
    Usage.objects.create(organization=acme.organization, documents=7, bytes=70)

    record = purge(acme)

    assert (record.documents, record.bytes) == (7, 70)


def test_a_restored_organization_has_no_record(acme):
    lifecycle.delete_organization(acme.id, by=ACTOR)
    lifecycle.restore_organization(acme.id, by=ACTOR)

    assert not ErasureRecord.objects.exists()


def test_the_command_shows_it(acme, alice, capsys):
    fill(alice)
    purge(acme)

    call_command("show_erasures", as_json=True)
    shown = json.loads(capsys.readouterr().out)
    call_command("show_erasures")

    assert (shown["total"], shown["erasures"][0]["documents"]) == (1, 4)
    assert str(acme.id) in capsys.readouterr().out


@pytest.mark.django_db
def test_without_a_purge_the_command_says_so(capsys):
    call_command("show_erasures")

    assert capsys.readouterr().out.strip() == "Nothing was purged yet."


def test_operators_read_it_and_change_nothing(acme):
    record = purge(acme)
    client = Client()
    client.force_login(
        User.objects.create(email="root@x.example", is_staff=True, is_superuser=True)
    )
    page = f"/admin/tenancy/erasurerecord/{record.pk}/change/"

    listed = client.get("/admin/tenancy/erasurerecord/", {"q": str(acme.id)})

    assert str(acme.id) in listed.content.decode()
    assert client.get(page).status_code == 200
    assert client.post(page, {"documents": 0}).status_code == 403
    assert client.get("/admin/tenancy/erasurerecord/add/").status_code == 403
