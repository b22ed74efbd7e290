"""API keys: made, shown once, held until they expire, are rotated or revoked."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import api_keys, key_holders, key_tokens
from accounts.api_keys import (
    KeyTerms,
    forget_keys,
    get_key_holder,
    issue_key,
    revoke_key,
    rotate_key,
)
from accounts.exceptions import NotAuthenticated, TokenExpired, TokenRevoked
from accounts.models import ApiKey
from accounts.principals import Principal
from tenancy import lifecycle
from tenancy.exceptions import (
    AlreadyExists,
    NotFound,
    OrganizationDeleted,
    PlanLimitReached,
    RevisionConflict,
)
from tenancy.idempotency import Attempt
from tenancy.models import AuditEvent, Operation
from tenancy.operations import resume_operations
from tests.conftest import ACTOR


class Owner(Principal):
    """Somebody who may everything."""

    actor = ACTOR


@pytest.fixture
def owner(acme):
    return Owner(acme.id, "owner")


def make(cast, role="editor", **terms):
    """Return a new key: its row and its secret."""
    issued = issue_key(cast.id, KeyTerms("Robot", role, **terms), by=ACTOR)
    return issued.row, issued.secret


def actions(cast):
    events = AuditEvent.objects.filter(organization=cast.organization, action__startswith="api_key")
    return list(events.order_by("sequence").values_list("action", flat=True))


def test_key_stands_for_its_organization_role_and_scopes(acme):
    row, secret = make(acme, scopes=["documents.read"], collections=["orders"])

    holder = get_key_holder(secret)

    assert (holder.organization_id, holder.role) == (acme.id, "editor")
    assert holder.actor == f"key:{row.pk}"
    assert (holder.scopes, holder.collections) == ({"documents.read"}, {"orders"})
    assert holder.may("documents.read")
    assert not holder.may("documents.write")


def test_only_a_digest_is_kept(acme):
    row, secret = make(acme)

    row.refresh_from_db()

    kept = " ".join(str(value) for value in vars(row).values())
    assert secret.split("_")[2] not in kept
    assert row.digest == key_tokens.digest_of(secret)


def test_key_is_spelled_with_its_id_and_256_bits(acme):
    row, secret = make(acme)

    prefix, row_id, bits, checksum = secret.split("_")

    assert (prefix, uuid.UUID(row_id), len(bits) * 4, len(checksum)) == ("tk", row.pk, 256, 8)
    assert make(acme)[1].split("_")[2] != bits


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key.replace("tk_", "tk_0", 1),
        lambda key: key[:40] + ("0" if key[40] != "0" else "1") + key[41:],
        lambda key: key.upper(),
        lambda key: key + "\n",
        lambda key: f" {key}",
        lambda key: key.rpartition("_")[0],
        lambda key: f"{key}_{'0' * 8}",
        lambda key: "tk_",
        lambda key: "tk_" + "a" * 1_000_000,
        lambda key: "tk_é\x00\udcff",
        lambda key: key.replace("a", "а"),  # noqa: RUF001 -- a Cyrillic letter
        lambda key: key.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
        lambda key: "",
    ],
)
def test_misspelled_key_is_refused_without_asking_the_catalog(
    acme, spoil, django_assert_num_queries
):
    secret = make(acme)[1]

    with django_assert_num_queries(0), pytest.raises(NotAuthenticated) as raised:
        get_key_holder(spoil(secret))

    assert raised.value.code == "not_authenticated"


def test_well_formed_keys_of_nobody_are_not_kept(acme):
    row = make(acme)[0]
    before = len(key_holders._standings._entries)

    for key_id in [row.pk, *(uuid.uuid4() for _ in range(50))]:
        with pytest.raises(NotAuthenticated) as raised:
            get_key_holder(key_tokens.make_key(key_id))
        assert raised.value.code == "not_authenticated"

    assert len(key_holders._standings._entries) == before


def test_key_is_read_in_one_query_and_then_in_none(acme, django_assert_num_queries):
    secret = make(acme)[1]
    forget_keys()

    with django_assert_num_queries(1):
        first = get_key_holder(secret)
    with django_assert_num_queries(0):
        assert get_key_holder(secret) is first


def test_cache_is_bounded():
    assert key_holders._standings._max_entries == key_holders.CACHE_MAX_STANDINGS


def test_expired_key_is_refused_though_it_is_cached(acme, time_machine_at):
    _, secret = make(acme, expires_at=timezone.now() + timedelta(seconds=60))
    assert get_key_holder(secret)

    time_machine_at(59)
    assert get_key_holder(secret)
    time_machine_at(60)

    with pytest.raises(TokenExpired, match="API key has expired"):
        get_key_holder(secret)


@pytest.fixture
def time_machine_at(monkeypatch):
    """Let the product believe that so many seconds have passed; ages of caches stay."""
    begin = timezone.now()

    def move(seconds):
        monkeypatch.setattr(
            "django.utils.timezone.now", lambda: begin + timedelta(seconds=seconds + 1)
        )

    return move


def test_revoked_key_is_refused_at_once_and_stays_in_the_list(acme):
    row, secret = make(acme)
    assert get_key_holder(secret)

    assert revoke_key(acme.id, row.pk, by=ACTOR)

    with pytest.raises(TokenRevoked):
        get_key_holder(secret)
    assert not revoke_key(acme.id, row.pk, by=ACTOR)
    assert ApiKey.objects.get(pk=row.pk).revoked_at is not None
    assert actions(acme) == ["api_key.created", "api_key.revoked"]


def test_revocation_elsewhere_bites_within_the_row_ttl(acme, settings):
    settings.ACCOUNTS_ROW_TTL = 0.0
    row, secret = make(acme)
    assert get_key_holder(secret)

    ApiKey.objects.filter(pk=row.pk).update(revoked_at=timezone.now())  # nobody tells this process

    with pytest.raises(TokenRevoked):
        get_key_holder(secret)


def test_nobody_without_the_secret_learns_that_a_key_was_revoked(acme):
    row = make(acme)[0]
    revoke_key(acme.id, row.pk, by=ACTOR)

    with pytest.raises(NotAuthenticated) as raised:
        get_key_holder(key_tokens.make_key(row.pk))

    assert raised.value.code == "not_authenticated"


def test_both_secrets_hold_during_the_overlap_and_the_old_one_not_longer(
    acme, owner, time_machine_at
):
    row, old = make(acme)
    assert get_key_holder(old)
    new = rotate_key(owner, row.pk, overlap_seconds=60).secret

    assert get_key_holder(old).key_id == get_key_holder(new).key_id == row.pk
    time_machine_at(61)

    with pytest.raises(TokenRevoked, match="rotated"):
        get_key_holder(old)
    assert get_key_holder(new).key_id == row.pk


def test_rotation_without_overlap_ends_the_old_secret_at_once(acme, owner):
    row, old = make(acme)
    assert get_key_holder(old)

    new = rotate_key(owner, row.pk, overlap_seconds=0).secret

    with pytest.raises(TokenRevoked):
        get_key_holder(old)
    assert get_key_holder(new)


def test_new_secret_holds_at_once_where_the_old_one_is_cached(acme, owner, monkeypatch):
    row, old = make(acme)
    assert get_key_holder(old)
    monkeypatch.setattr(api_keys, "forget_keys", lambda **which: None)  # as in another process

    new = rotate_key(owner, row.pk).secret

    assert get_key_holder(new)


def test_second_rotation_does_not_cut_the_overlap_short(acme, owner):
    row, first = make(acme)
    second = rotate_key(owner, row.pk).secret

    with pytest.raises(RevisionConflict) as raised:
        rotate_key(owner, row.pk)

    assert "overlap_seconds 0" in raised.value.hint
    assert get_key_holder(first)
    assert get_key_holder(second)


def test_rotation_without_overlap_ends_every_secret_before(acme, owner):
    row, first = make(acme)
    second = rotate_key(owner, row.pk).secret

    third = rotate_key(owner, row.pk, overlap_seconds=0).secret

    for ended in (first, second):
        with pytest.raises(NotAuthenticated):
            get_key_holder(ended)
    assert get_key_holder(third)


def test_key_is_rotated_again_once_the_overlap_is_over(acme, owner, time_machine_at):
    row, _ = make(acme)
    second = rotate_key(owner, row.pk, overlap_seconds=60).secret
    time_machine_at(61)

    third = rotate_key(owner, row.pk, overlap_seconds=60).secret

    assert get_key_holder(second)
    assert get_key_holder(third)


def test_of_many_rotations_at_once_one_wins(acme, owner):
    row, old = make(acme)
    barrier = threading.Barrier(8)

    def rotate(_):
        barrier.wait(10)
        try:
            return rotate_key(owner, row.pk).secret
        except RevisionConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [secret for secret in pool.map(rotate, range(8)) if secret]

    assert len(won) == 1
    assert get_key_holder(won[0])
    assert get_key_holder(old)


def test_revocation_ends_both_secrets(acme, owner):
    row, old = make(acme)
    new = rotate_key(owner, row.pk).secret

    revoke_key(acme.id, row.pk, by=ACTOR)

    for secret in (old, new):
        with pytest.raises(TokenRevoked):
            get_key_holder(secret)


@pytest.mark.parametrize("overlap", [0, 60])
def test_of_rotations_from_one_state_one_wins(acme, owner, monkeypatch, overlap):
    row, old = make(acme)
    barrier = threading.Barrier(8)
    real, seen = api_keys._get_live, set()

    def read_together(*wanted):
        found = real(*wanted)
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            barrier.wait(10)
        return found

    monkeypatch.setattr(api_keys, "_get_live", read_together)

    def rotate(_):
        try:
            return rotate_key(owner, row.pk, overlap_seconds=overlap).secret
        except RevisionConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [secret for secret in pool.map(rotate, range(8)) if secret]

    assert len(won) == 1
    assert get_key_holder(won[0])
    if overlap:
        assert get_key_holder(old)  # the losers did not cut its overlap short
    assert actions(acme) == ["api_key.created", "api_key.rotated"]


def test_no_use_that_begins_after_a_revocation_succeeds(acme):
    row, secret = make(acme)
    threads, revoked = 32, threading.Event()
    barrier = threading.Barrier(threads + 1)
    late: list[bool] = []

    def use(_):
        barrier.wait(10)
        refused = 0
        while refused < 20:
            is_late = revoked.is_set()
            try:
                get_key_holder(secret)
            except TokenRevoked:
                refused += 1
            else:
                late.append(is_late)

    with ThreadPoolExecutor(threads) as pool:
        uses = [pool.submit(use, number) for number in range(threads)]
        barrier.wait(10)
        revoke_key(acme.id, row.pk, by=ACTOR)
        revoked.set()
        for each in uses:
            each.result(30)

    assert not any(late)


def test_repeat_with_the_same_id_makes_a_new_secret_for_the_same_key(acme):
    attempt, terms = Attempt.without_key(), KeyTerms("Robot", "viewer")
    first = issue_key(acme.id, terms, by=ACTOR, attempt=attempt)
    assert get_key_holder(first.secret)

    again = issue_key(acme.id, terms, by=ACTOR, attempt=attempt)

    assert ApiKey.objects.get().pk == again.row.pk == attempt.resource
    assert get_key_holder(again.secret).key_id == attempt.resource
    with pytest.raises(NotAuthenticated):
        get_key_holder(first.secret)
    assert actions(acme) == ["api_key.created", "api_key.rotated"]


def test_repeat_does_not_revive_a_revoked_key_nor_take_another_s(acme, globex):
    row, _ = make(acme)
    revoke_key(acme.id, row.pk, by=ACTOR)

    for cast in (acme, globex):
        with pytest.raises(AlreadyExists):
            issue_key(cast.id, KeyTerms("Robot", "viewer"), by=ACTOR, attempt=Attempt(None, row.pk))

    row.refresh_from_db()
    assert (row.organization_id, row.role) == (acme.id, "editor")
    assert row.revoked_at is not None


def test_organization_has_at_most_so_many_live_keys(acme, globex, monkeypatch):
    monkeypatch.setattr(api_keys, "LIVE_MAX_KEYS", 3)
    rows = [make(acme)[0] for _ in range(3)]
    make(globex)

    with pytest.raises(PlanLimitReached) as raised:
        make(acme)
    revoke_key(acme.id, rows[0].pk, by=ACTOR)
    make(acme)
    ApiKey.objects.filter(pk=rows[1].pk).update(expires_at=timezone.now())
    make(acme)

    assert raised.value.extra == {"limit": 3, "used": 3, "name": "api_keys"}


def test_many_at_once_do_not_get_past_the_limit(acme, monkeypatch):
    monkeypatch.setattr(api_keys, "LIVE_MAX_KEYS", 3)
    barrier = threading.Barrier(8)

    def try_to_make(_):
        barrier.wait(10)
        try:
            return make(acme)
        except PlanLimitReached:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [each for each in pool.map(try_to_make, range(8)) if each]

    assert len(made) == ApiKey.objects.count() == 3


@pytest.mark.usefixtures("quick")
def test_deleted_organization_s_keys_are_revoked_for_good(acme, globex):
    secret, foreign = make(acme)[1], make(globex)[1]
    assert get_key_holder(secret)

    lifecycle.delete_organization(acme.id, by=ACTOR)
    with pytest.raises(TokenRevoked):
        get_key_holder(secret)
    with pytest.raises(OrganizationDeleted):
        make(acme)
    lifecycle.restore_organization(acme.id, by=ACTOR)

    with pytest.raises(TokenRevoked):
        get_key_holder(secret)
    assert get_key_holder(foreign)


@pytest.mark.usefixtures("quick")
def test_purge_leaves_no_key(acme, globex):
    secret = make(acme)[1]
    make(globex)
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    assert not ApiKey.objects.filter(organization=acme.id).exists()
    assert ApiKey.objects.count() == 1
    with pytest.raises(NotAuthenticated):
        get_key_holder(secret)


def test_keys_of_others_are_not_found(acme, globex, owner):
    row, secret = make(globex)

    for act in (
        lambda: revoke_key(acme.id, row.pk, by=ACTOR),
        lambda: rotate_key(owner, row.pk),
        lambda: api_keys.change_key(owner, row.pk, {"name": "Mine"}),
    ):
        with pytest.raises(NotFound):
            act()
    assert get_key_holder(secret)


def test_audit_holds_ids_and_scopes_but_no_name_or_secret(acme, owner):
    row, secret = make(acme)
    api_keys.change_key(owner, row.pk, {"name": "Tulip", "scopes": ["documents.read"]})
    new = rotate_key(owner, row.pk).secret
    revoke_key(acme.id, row.pk, by=ACTOR)

    events = AuditEvent.objects.filter(action__startswith="api_key").order_by("sequence")

    assert {event.details["key"] for event in events} == {str(row.pk)}
    assert events[1].details["scopes"] == ["documents.read"]
    assert events[1].details["changed"] == ["name", "scopes"]
    told = " ".join(str(event.details) for event in events)
    for hidden in ("Robot", "Tulip", secret, new, key_tokens.digest_of(new)):
        assert hidden not in told
