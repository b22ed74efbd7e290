"""Events are added, chained and read; nothing changes or removes one."""

import pytest
from django.db import transaction

from tenancy.audit import record_event
from tenancy.audit_chain import verify_chain
from tenancy.context import Origin, origin_context
from tenancy.exceptions import Defect
from tenancy.models import AuditChain, AuditEvent

pytestmark = pytest.mark.django_db

ACTOR = "command:test"


def record(**details):
    record_event(None, "thing.done", by=ACTOR, **details)
    return AuditEvent.objects.get(sequence=AuditChain.objects.get().length)


def from_address(address):
    with origin_context(Origin("request-1", address)):
        return record()


def test_each_event_follows_on_the_one_before():
    first, second = record(n=1), record(n=2)

    assert (first.sequence, second.sequence) == (1, 2)
    assert AuditChain.objects.get(key="service").head == second.hash
    assert first.hash != second.hash


def test_what_is_rolled_back_leaves_no_gap():
    record()

    with transaction.atomic():
        record()
        transaction.set_rollback(True)

    assert record().sequence == 2
    assert verify_chain("service").is_whole


@pytest.mark.parametrize(
    "change",
    [
        lambda event: event.save(),
        lambda event: event.delete(),
        lambda event: AuditEvent.objects.all().delete(),
        lambda event: AuditEvent.objects.update(actor="user:x"),
        lambda event: AuditEvent.objects.bulk_update([event], ["actor"]),
        lambda event: AuditEvent.objects.bulk_create([AuditEvent()]),
        lambda event: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"actor": "x"}),
    ],
    ids=["save", "delete", "delete-all", "update", "bulk-update", "bulk-create", "upsert"],
)
def test_nothing_changes_or_removes_an_event(change):
    event = record()

    with pytest.raises(Defect), transaction.atomic():
        change(event)

    assert AuditEvent.objects.get().actor == ACTOR


def test_an_organization_whose_creation_is_undone_leaves_its_events(acme):
    key = str(acme.id)
    events = AuditEvent.objects.in_chain(key).count()

    acme.organization.delete()

    assert AuditEvent.objects.filter(chain=key, organization=None).count() == events > 0
    assert verify_chain(key).is_whole


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        (None, None),
    ],
)
def test_an_address_is_kept_as_every_catalog_gives_it_back(sent, kept):
    event = from_address(sent)

    assert event.address == kept
    assert bool(event.address_digest) == bool(kept)
    assert verify_chain("service").is_whole


def test_equal_addresses_have_different_digests():
    first, second = from_address("203.0.113.7"), from_address("203.0.113.7")

    assert first.address_digest != second.address_digest


@pytest.mark.parametrize(
    "value",
    [
        1e16, 1.5e300, 1e-7, -0.0, 0.1, float("nan"), float("inf"), 2**53 + 1,
        "a\x00b", "naïve ✓ 🙂", "\\u0000", {"b": [1, {"a": None}], "a": True}, [], "",
    ],
)  # fmt: skip
def test_whatever_the_details_are_they_verify(value):
    record(value=value)

    assert verify_chain("service").is_whole
