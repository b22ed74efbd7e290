"""One key, one act: who is first does it, who comes after a crash takes over, others wait."""

from datetime import timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.utils import timezone

from tenancy.exceptions import IdempotencyInProgress, IdempotencyKeyReused
from tenancy.idempotency import (
    CATALOG,
    KEPT_FOR,
    LEASE,
    Answer,
    Ask,
    Attempt,
    forget_records,
    hold_attempt,
    prune_records,
    reencrypt_answers,
)
from tenancy.models import IdempotencyRecord

pytestmark = pytest.mark.django_db

ASK = Ask("user:a/org", "key-1", "digest")
ANSWER = Answer(201, b'{"secret": "s3cr3t"}', {"Location": "/x"})


def later(delta):
    return time_machine.travel(timezone.now() + delta, tick=False)


def test_the_first_has_the_right_and_others_wait():
    attempt = CATALOG.begin(ASK)

    assert attempt.number == 1
    with pytest.raises(IdempotencyInProgress):
        CATALOG.begin(ASK)


def test_who_comes_after_the_answer_gets_it():
    CATALOG.finish(CATALOG.begin(ASK), ANSWER)

    assert CATALOG.begin(ASK) == ANSWER
    assert CATALOG.begin(ASK) == ANSWER


def test_an_answer_is_not_kept_in_clear():
    CATALOG.finish(CATALOG.begin(ASK), ANSWER)

    row = IdempotencyRecord.objects.get()
    assert "s3cr3t" not in str(vars(row))


def test_another_digest_is_refused_while_and_after_it_is_done():
    other = Ask(ASK.scope, ASK.key, "other")
    attempt = CATALOG.begin(ASK)

    with pytest.raises(IdempotencyKeyReused):
        CATALOG.begin(other)
    CATALOG.finish(attempt, ANSWER)
    with pytest.raises(IdempotencyKeyReused):
        CATALOG.begin(other)


@pytest.mark.parametrize(
    "other", [Ask("user:b/org", "key-1", "x"), Ask("user:a/org", "key-2", "x")]
)
def test_another_scope_or_key_is_another_act(other):
    first = CATALOG.begin(ASK)

    assert CATALOG.begin(other).resource != first.resource


def test_after_a_crash_the_lease_lapses_and_the_next_has_the_same_resource():
    first = CATALOG.begin(ASK)

    with later(LEASE - timedelta(seconds=1)), pytest.raises(IdempotencyInProgress):
        CATALOG.begin(ASK)
    with later(LEASE + timedelta(seconds=1)):
        second = CATALOG.begin(ASK)
        with pytest.raises(IdempotencyInProgress):
            CATALOG.begin(ASK)

    assert (second.resource, second.number) == (first.resource, 2)


def test_an_attempt_that_was_overtaken_keeps_nothing():
    first = CATALOG.begin(ASK)
    with later(LEASE + timedelta(seconds=1)):
        second = CATALOG.begin(ASK)

    CATALOG.finish(first, Answer(500, b"late"))
    CATALOG.give_up(first)
    CATALOG.finish(second, ANSWER)
    CATALOG.finish(first, Answer(500, b"later still"))

    assert CATALOG.begin(ASK) == ANSWER


def test_an_attempt_that_was_overtaken_is_told_so():
    first = CATALOG.begin(ASK)
    with later(LEASE + timedelta(seconds=1)):
        second = CATALOG.begin(ASK)

        with pytest.raises(IdempotencyInProgress):
            hold_attempt(first)
        hold_attempt(second)
        assert CATALOG.finish(second, ANSWER)
        assert not CATALOG.finish(first, ANSWER)
    for ended in (first, second):
        with pytest.raises(IdempotencyInProgress):
            hold_attempt(ended)


def test_who_has_begun_to_write_has_the_whole_lease_to_answer():
    first = CATALOG.begin(ASK)
    with later(LEASE - timedelta(seconds=1)):
        hold_attempt(first)

    with later(LEASE + timedelta(seconds=1)), pytest.raises(IdempotencyInProgress):
        CATALOG.begin(ASK)


def test_what_has_no_key_is_held_without_a_record():
    hold_attempt(Attempt.without_key())

    assert not IdempotencyRecord.objects.exists()


def test_what_was_given_up_may_be_begun_again_at_once():
    first = CATALOG.begin(ASK)
    CATALOG.give_up(first)

    second = CATALOG.begin(ASK)

    assert (second.resource, second.number) == (first.resource, 2)


def test_an_expired_key_is_a_new_one():
    first = CATALOG.begin(ASK)
    CATALOG.finish(first, ANSWER)

    with later(KEPT_FOR + timedelta(seconds=1)):
        again = CATALOG.begin(Ask(ASK.scope, ASK.key, "other"))

    assert again.resource != first.resource


@pytest.fixture
def five_expired(monkeypatch):
    monkeypatch.setattr("tenancy.idempotency.PRUNE_BATCH", 2)
    for number in range(5):
        CATALOG.begin(Ask("s", f"key-{number}", "x"))
    assert prune_records() == 0
    with later(KEPT_FOR + timedelta(seconds=1)):
        CATALOG.begin(Ask("s", "fresh", "x"))
        yield
    assert IdempotencyRecord.objects.get().key == "fresh"


def test_all_expired_records_are_removed(five_expired):
    assert prune_records() == 5


def test_removing_expired_records_ends_when_its_time_is_up(five_expired, monkeypatch):
    monkeypatch.setattr("tenancy.idempotency.PRUNE_SECONDS", 0.0)

    assert [prune_records() for _ in range(4)] == [2, 2, 1, 0]


def answered(status, key, scope="s"):
    CATALOG.finish(CATALOG.begin(Ask(scope, key, "x")), Answer(status, b"{}"))


def keys_of(scope="s"):
    rows = IdempotencyRecord.objects.filter(scope=scope)
    return sorted(rows.values_list("key", flat=True))


def test_of_refusals_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr("tenancy.idempotency.REFUSALS_MAX", 3)
    answered(422, "other", scope="of somebody else")
    answered(201, "made")
    begun = CATALOG.begin(Ask("s", "begun", "x"))

    for number in range(6):
        answered((400, 403, 404, 409, 415, 422)[number], f"refused-{number}")

    assert keys_of() == ["begun", "made", "refused-3", "refused-4", "refused-5"]
    assert keys_of("of somebody else") == ["other"]
    CATALOG.finish(begun, ANSWER)
    assert CATALOG.begin(Ask("s", "begun", "x")) == ANSWER


def test_what_was_given_up_counts_as_refused(monkeypatch):
    monkeypatch.setattr("tenancy.idempotency.REFUSALS_MAX", 2)

    for number in range(5):
        CATALOG.give_up(CATALOG.begin(Ask("s", f"key-{number}", "x")))

    assert keys_of() == ["key-3", "key-4"]


def test_what_is_kept_for_an_organization_goes_with_it(acme, globex):
    founding = CATALOG.begin(Ask("signup:x", "key", "x"))
    IdempotencyRecord.objects.filter(pk=founding.record).update(resource=acme.id)
    CATALOG.begin(Ask(f"user:a/{acme.id}", "key", "x"))
    CATALOG.begin(Ask(f"user:a/{globex.id}", "key", "x"))

    assert forget_records(acme.id) == 2
    assert IdempotencyRecord.objects.get().scope == f"user:a/{globex.id}"


def test_answers_follow_a_new_encryption_key(settings):
    CATALOG.finish(CATALOG.begin(ASK), ANSWER)
    old, new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()

    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    assert (reencrypt_answers(), reencrypt_answers()) == (1, 0)
    settings.FIELD_ENCRYPTION_KEYS = [new]

    assert CATALOG.begin(ASK) == ANSWER
