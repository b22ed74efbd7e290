"""Whoever changes, removes, adds or reorders events of the audit is found, and where."""

import uuid
from datetime import timedelta

import pytest
from django.db.models import F

from tenancy.audit import digest_of_address, hash_of, record_event
from tenancy.audit_chain import Flaw, chain_keys, verify_chain
from tenancy.context import Origin, origin_context
from tenancy.models import AuditChain, AuditEvent, Organization
from tests.conftest import ACTOR

EVENTS = 8
# What no code of the product can reach: the rows as whoever has the database sees them.
ROWS = AuditEvent._base_manager

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(acme):
    """The chain of an organization with eight events; each has an address."""
    with origin_context(Origin("request-1", "203.0.113.7")):
        while AuditEvent.objects.in_chain(str(acme.id)).count() < EVENTS:
            record_event(acme.organization, "thing.done", by=ACTOR, nested={"n": [1, {"x": 2.5}]})
    return str(acme.id)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr("tenancy.audit_chain.PAGE_EVENTS", 3)


def row(key, sequence):
    return ROWS.get(chain=key, sequence=sequence)


def change(key, place, /, **values):
    assert ROWS.filter(chain=key, sequence=place).update(**values) == 1


def put(key, sequence, *, rehash=False, **values):
    """Add an event behind the product's back."""
    event = row(key, sequence - 1)
    before, event.pk, event.sequence = event.hash, None, sequence
    event._state.adding, event.actor = True, "user:intruder"
    event.hash = hash_of(event, before) if rehash else event.hash
    event.save(force_insert=True)
    return event.pk


def shift(key, start, by):
    """Renumber the events from one on; the constraint allows no number twice meanwhile."""
    ROWS.filter(chain=key, sequence__gte=start).update(sequence=F("sequence") + 1000)
    ROWS.filter(chain=key, sequence__gte=1000).update(sequence=F("sequence") - 1000 + by)


def broken(key, **options):
    found = verify_chain(key, **options).broken
    return found and (found.flaw, found.sequence, found.event_id)


def test_a_chain_is_whole(key):
    verdict = verify_chain(key)

    assert (verdict.is_whole, verdict.events) == (True, EVENTS)
    assert verdict.head == AuditChain.objects.get(key=key).head == row(key, EVENTS).hash


@pytest.mark.parametrize("sequence", [2, 4, EVENTS])
@pytest.mark.parametrize(
    "values",
    [
        {"details": {"nested": {"n": [1, {"x": 2.6}]}}},
        {"actor": "user:somebody-else"},
        {"action": "thing.undone"},
        {"request_id": "request-2"},
        {"address": "203.0.113.8"},
        {"address": None, "address_salt": ""},
        {"address_digest": digest_of_address("203.0.113.8", "salt")},
        {"address_digest": ""},
        {"organization": None},
        {"hash": "0" * 64},
    ],
    ids="-".join,
)
def test_a_changed_event_is_found(key, sequence, values):
    change(key, sequence, **values)

    assert broken(key) == (Flaw.CHANGED, sequence, row(key, sequence).pk)


@pytest.mark.parametrize("sequence", [1, 5])
def test_a_changed_time_is_found(key, sequence):
    change(key, sequence, at=row(key, sequence).at - timedelta(microseconds=1))

    assert broken(key) == (Flaw.CHANGED, sequence, row(key, sequence).pk)


def test_an_event_that_was_given_to_another_organization_is_found(key, globex):
    change(key, 3, organization=globex.organization)

    assert broken(key) == (Flaw.CHANGED, 3, row(key, 3).pk)


def test_a_changed_event_with_a_new_hash_breaks_what_follows(key):
    event = row(key, 4)
    event.actor = "user:somebody-else"
    change(key, 4, actor=event.actor, hash=hash_of(event, row(key, 3).hash))

    assert broken(key)[1:] == (5, row(key, 5).pk)


@pytest.mark.parametrize("sequence", [1, 4])
def test_a_removed_event_is_found(key, sequence):
    ROWS.filter(chain=key, sequence=sequence).delete()

    assert broken(key) == (Flaw.MISSING, sequence, None)


def test_a_removed_end_is_found(key):
    ROWS.filter(chain=key, sequence=EVENTS).delete()

    assert broken(key) == (Flaw.TRUNCATED, EVENTS, None)


def test_removed_events_are_found_when_all_of_them_are_gone(key):
    ROWS.filter(chain=key).delete()

    assert broken(key) == (Flaw.TRUNCATED, 1, None)


def test_a_removed_event_is_found_when_the_rest_moved_up(key):
    ROWS.filter(chain=key, sequence=4).delete()
    shift(key, 5, -1)

    assert broken(key) == (Flaw.MISSING, 4, None)


@pytest.mark.parametrize(("one", "other"), [(3, 4), (2, 6), (1, EVENTS)])
def test_two_swapped_events_are_found(key, one, other):
    change(key, one, sequence=1000)
    change(key, other, sequence=one)
    change(key, 1000, sequence=other)

    assert broken(key) == (Flaw.REORDERED, one, row(key, one).pk)


@pytest.mark.parametrize("rehash", [False, True])
def test_an_event_put_in_between_is_found(key, rehash):
    shift(key, 4, 1)
    intruder = put(key, 4, rehash=rehash)

    flaw, sequence, event_id = broken(key)

    # With a hash of its own it follows on the one before: the next one does not follow on it.
    assert (flaw, sequence, event_id) == (
        (Flaw.INSERTED, 4, intruder) if not rehash else (Flaw.CHANGED, 5, row(key, 5).pk)
    )


@pytest.mark.parametrize("rehash", [False, True])
def test_an_event_put_at_the_end_is_found(key, rehash):
    intruder = put(key, EVENTS + 1, rehash=rehash)

    assert broken(key)[1:] == (EVENTS + 1, intruder)


def test_an_event_before_the_first_is_found(key):
    event = put(key, EVENTS + 1)
    change(key, EVENTS + 1, sequence=0)

    assert broken(key) == (Flaw.INSERTED, 0, event)


def test_a_changed_head_is_found(key):
    AuditChain.objects.filter(key=key).update(head="0" * 64)

    assert broken(key) == (Flaw.HEAD_CHANGED, EVENTS, None)


@pytest.mark.parametrize(("by", "flaw"), [(1, Flaw.TRUNCATED), (-1, Flaw.INSERTED)])
def test_a_changed_length_is_found(key, by, flaw):
    AuditChain.objects.filter(key=key).update(length=EVENTS + by)

    assert broken(key)[0] is flaw


def test_events_without_a_chain_are_found(key):
    AuditChain.objects.filter(key=key).delete()

    assert broken(key) == (Flaw.UNCHAINED, 1, row(key, 1).pk)
    assert key in chain_keys()


def forget_chain(key):
    ROWS.filter(chain=key).delete()
    AuditChain.objects.filter(key=key).delete()


def test_a_chain_that_is_gone_with_all_its_events_is_found(key, globex):
    forget_chain(key)

    assert broken(key) == broken(key, newest=5) == (Flaw.MISSING, 1, None)
    assert set(chain_keys()) >= {key, str(globex.id)}


@pytest.mark.parametrize("newest", [None, 2])
def test_a_chain_that_was_begun_anew_without_its_organization_s_creation_is_found(
    key, acme, newest
):
    forget_chain(key)
    for _ in range(EVENTS):
        record_event(acme.organization, "thing.done", by=ACTOR)

    assert broken(key, newest=newest) == (Flaw.MISSING, 1, None)
    assert list(chain_keys()).count(key) == 1


def test_a_chain_that_went_with_a_purged_organization_is_found(key):
    Organization.objects.filter(pk=key).update(status="purged", name="", slug=None)
    forget_chain(key)

    assert key in chain_keys()
    assert broken(key) == (Flaw.MISSING, 1, None)


def test_an_organization_that_is_being_created_has_no_event_yet(key):
    forget_chain(key)
    Organization.objects.filter(pk=key).update(status="provisioning")

    assert key not in chain_keys()
    assert broken(key) is None


def test_the_creation_need_not_be_the_first_event(key, acme):
    """What concerns its owner may come first; and old events were chained by their times."""
    forget_chain(key)
    record_event(acme.organization, "user.changed", by=ACTOR)
    record_event(acme.organization, "organization.created", by=ACTOR)

    assert broken(key) is None


def test_organizations_without_a_chain_are_found_page_by_page(acme, globex, monkeypatch):
    monkeypatch.setattr("tenancy.audit_chain.PAGE_EVENTS", 1)
    keys = sorted([str(acme.id), str(globex.id)])
    for each in keys:
        forget_chain(each)

    assert sorted(set(chain_keys()) - {AuditChain.SERVICE}) == keys


def rewrite(key):
    """Do what the chain alone cannot show: forge it from the first event on, the head included."""
    head = ""
    for event in ROWS.filter(chain=key).order_by("sequence"):
        event.actor = "user:nobody"
        event.hash = head = hash_of(event, head)
        ROWS.filter(pk=event.pk).update(actor=event.actor, hash=head)
    AuditChain.objects.filter(key=key).update(head=head)


def test_a_rewritten_chain_is_found_by_a_head_that_was_kept(key):
    kept = verify_chain(key).head
    rewrite(key)

    assert broken(key) is None
    assert broken(key, kept=[kept])[0] is Flaw.REWRITTEN


def test_a_chain_that_grew_still_has_the_head_that_was_kept(key, acme):
    kept = verify_chain(key).head
    record_event(acme.organization, "thing.done", by=ACTOR)

    assert broken(key, kept=[kept]) is None


def test_a_cut_that_the_head_follows_is_found_by_a_head_that_was_kept(key):
    kept = verify_chain(key).head
    ROWS.filter(chain=key, sequence=EVENTS).delete()
    AuditChain.objects.filter(key=key).update(length=EVENTS - 1, head=row(key, EVENTS - 1).hash)

    assert broken(key) is None
    assert broken(key, kept=[kept])[0] is Flaw.REWRITTEN


def test_the_newest_events_can_be_verified_alone(key):
    change(key, 2, actor="user:somebody-else")

    verdict = verify_chain(key, newest=5)

    assert (verdict.is_whole, verdict.first, verdict.events) == (True, 4, 5)
    assert not verify_chain(key, newest=EVENTS).is_whole


def test_a_purged_organization_keeps_no_address_and_its_chain(key):
    Organization.objects.filter(pk=key).update(status="purged", name="", slug=None)

    erased = AuditEvent.objects.in_chain(key).erase_addresses()

    assert erased > 0
    assert not ROWS.filter(chain=key).exclude(address=None, address_salt="").exists()
    assert broken(key) is None


def test_an_erased_address_is_a_change_while_the_organization_is_there(key):
    AuditEvent.objects.in_chain(key).erase_addresses()

    assert broken(key)[0] is Flaw.CHANGED


def test_an_unknown_chain_has_nothing_wrong_but_what_was_kept_of_it():
    key = str(uuid.uuid4())

    assert broken(key) is None
    assert broken(key, kept=["0" * 64])[0] is Flaw.REWRITTEN


def test_memory_is_bounded_by_the_page(key, django_assert_max_num_queries):
    # Eight events in pages of three: a chain and a page each time, and once more at the end,
    # and whether the creation is among them.
    with django_assert_max_num_queries(13):
        assert verify_chain(key).is_whole
