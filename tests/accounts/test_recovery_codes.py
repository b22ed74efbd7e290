"""Recovery codes: each works once, however it is typed; at rest there is nothing to type."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import mail
from django.db import connections

from accounts import recovery_codes
from accounts.models import RecoveryCode, User
from tenancy.models import AuditEvent
from tests.accounts.authenticator import TWO_FACTOR, enroll, log_in
from tests.http import refused

THREADS = 16
SECONDS = 30


@pytest.fixture
def user(transactional_db):
    return User.objects.create(email="alice@example.com")


@pytest.fixture
def codes(user):
    return recovery_codes.replace_codes(user.pk)


def test_codes_are_of_eighty_random_bits():
    assert len(set(recovery_codes.ALPHABET)) ** recovery_codes.CODE_CHARACTERS == 2**80


def test_codes_are_all_different_and_kept_as_digests(user, codes):
    digests = set(RecoveryCode.objects.values_list("digest", flat=True))

    assert len(set(codes)) == recovery_codes.CODES == 10
    plain = {code.replace("-", "") for code in codes}
    assert digests == {hashlib.sha256(code.encode()).hexdigest() for code in plain}


@pytest.mark.parametrize(
    "spell",
    [str.lower, str.swapcase, lambda code: code.replace("-", ""),
     lambda code: code.replace("-", " "), lambda code: f"  {code}\n",
     lambda code: "-".join(code.replace("-", "")),
     lambda code: code.replace("0", "o").replace("1", "l")],
)  # fmt: skip
def test_spelling_does_not_matter(user, codes, spell):
    assert recovery_codes.use_code(user.pk, spell(codes[0]))


def test_code_works_once(user, codes):
    assert recovery_codes.use_code(user.pk, codes[0])
    assert not recovery_codes.use_code(user.pk, codes[0])
    assert recovery_codes.codes_left(user.pk) == 9


def test_code_of_another_does_not_work(user, codes):
    other = User.objects.create(email="mallory@example.com")
    recovery_codes.replace_codes(other.pk)

    assert not recovery_codes.use_code(other.pk, codes[0])
    assert recovery_codes.use_code(user.pk, codes[0])


@pytest.mark.parametrize(
    "given",
    ["", "-", "0000-0000-0000-0000", "\0", "\u0131" * 16, "ß" * 16, "x" * 10_000, "\ud800" * 16],
)
def test_what_is_no_code_does_not_work(user, codes, given):
    assert not recovery_codes.use_code(user.pk, given)
    assert recovery_codes.codes_left(user.pk) == 10


def test_digest_is_no_code(user, codes):
    for digest in RecoveryCode.objects.values_list("digest", flat=True):
        assert not recovery_codes.use_code(user.pk, digest)


def test_new_codes_end_the_old_ones(user, codes):
    fresh = recovery_codes.replace_codes(user.pk)

    assert not any(recovery_codes.use_code(user.pk, code) for code in codes)
    assert all(recovery_codes.use_code(user.pk, code) for code in fresh)


def test_one_of_many_with_the_same_code_wins(user, codes):
    barrier = threading.Barrier(THREADS, timeout=SECONDS)

    def use(_):
        barrier.wait()
        try:
            return recovery_codes.use_code(user.pk, codes[0])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(use, range(THREADS))).count(True) == 1


def test_use_is_told_by_letter_and_audit(acme, alice):
    enrolled = enroll(alice)
    mail.outbox.clear()

    assert log_in(code=enrolled.recovery_codes[0].lower()).status_code == 200

    refused(log_in(code=enrolled.recovery_codes[0]), 401, "two_factor_invalid")
    assert [letter.subject for letter in mail.outbox] == ["A recovery code was used"]
    event = AuditEvent.objects.get(action="two_factor.recovery_code_used")
    user = str(acme.users["alice"].pk)
    assert (event.organization, event.actor) == (acme.organization, f"user:{user}")
    assert event.details == {"user": user, "codes_left": 9}
    assert alice.get(TWO_FACTOR).json()["recovery_codes_left"] == 9
