"""Exports and imports have so many places: who does not move may lose its own to others."""

import io
from uuid import uuid4

import pytest

from tenancy import slots
from tenancy.api import transfer
from tenancy.exceptions import TenantBusy
from tenancy.slots import SLOTS
from tests.http import refused
from tests.tenancy.api.test_chunked_imports import chunked
from tests.tenancy.api.test_transfer import EXPORT, lines, parsed, put_in, told

pytestmark = pytest.mark.needs_mongod


def test_a_place_where_nothing_moves_is_others_place(alice, charlie, settings, monkeypatch):
    settings.TENANTRY_THREADS = 6
    put_in(alice, lines(*({"_id": number} for number in range(1_000))))
    stalled, going_on = alice.get(EXPORT), alice.get(EXPORT)
    other = charlie.get(EXPORT)
    refused(charlie.get(EXPORT), 503, "tenant_busy")

    now = slots.seconds()
    monkeypatch.setattr(slots, "seconds", lambda: now + 21.0)
    next(going_on.streaming_content), next(going_on.streaming_content)
    taken = charlie.get(EXPORT)

    last = parsed(b"".join(stalled.streaming_content))[-1]["_export"]["error"]
    assert (last["code"], "others needed" in last["detail"]) == ("tenant_busy", True)
    assert b"_export" not in b"".join(going_on.streaming_content)
    for each in (stalled, going_on, other, taken):
        each.close()


def test_few_are_robbed_and_never_by_their_own_organization(alice, charlie, settings, monkeypatch):
    settings.TENANTRY_THREADS = 4  # of which 2 are slots, and 1 is left when 1 is stuck
    mine, others = alice.get(EXPORT), charlie.get(EXPORT)

    now = slots.seconds()
    monkeypatch.setattr(slots, "seconds", lambda: now + 21.0)

    assert refused(alice.get(EXPORT), 503, "tenant_busy")["retry_after"] == 5
    assert alice.get(EXPORT)["Retry-After"] == "5"
    for each in (mine, others):
        each.close()
    third, bystander = uuid4(), uuid4()
    one, two = SLOTS.take(third), SLOTS.take(bystander)
    monkeypatch.setattr(slots, "seconds", lambda: now + 42.0)
    SLOTS.take(uuid4())
    with pytest.raises(TenantBusy, match="no place"):
        SLOTS.take(uuid4())
    assert [one.is_lost, two.is_lost].count(True) == 1


def test_an_import_leaves_its_seat_before_it_waits_for_its_body(alice, monkeypatch):
    seen = []

    class Body(io.BytesIO):
        def read(self, size=-1):
            seen.append("waits")
            return super().read(size)

    body = Body(lines({"_id": 1}))
    monkeypatch.setattr(slots, "step_out", lambda: seen.append("out of the seat"))
    monkeypatch.setattr(transfer, "_reader", lambda request: body.read)

    told(put_in(alice, b"?"))

    assert seen[:2] == ["out of the seat", "waits"]


def test_a_body_that_never_comes_is_refused_and_leaves_its_place(alice, settings, monkeypatch):
    settings.TENANTRY_THREADS = 2  # of which 1 is a slot

    refused(chunked(alice, b""), 400, "malformed_json")
    with monkeypatch.context() as silent:
        silent.setattr(transfer, "_reader", lambda request: io.BytesIO().read)
        refused(put_in(alice, b"?"), 400, "malformed_json")

    assert told(put_in(alice, lines({"_id": 1})))[0]["inserted"] == 1


def test_who_finds_no_place_is_told_before_the_body_is_read(alice, settings, monkeypatch):
    settings.TENANTRY_THREADS = 2
    body = io.BytesIO(lines({"_id": 1}))
    monkeypatch.setattr(transfer, "_reader", lambda request: body.read)
    export = alice.get(EXPORT)

    refused(put_in(alice, b"?"), 503, "tenant_busy")
    export.close()

    assert body.tell() == 0
    assert told(put_in(alice, b"?"))[0]["inserted"] == 1


def test_an_import_that_lost_its_place_says_how_to_go_on(alice, monkeypatch):
    whole = lines(*({"n": number, "text": "x" * 400} for number in range(3_000)))
    real, taken = SLOTS.take, []

    def take(organization_id):
        assert body.tell() == 0
        taken.append(real(organization_id))
        return taken[-1]

    class Body(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > len(whole) // 2:
                taken[0].is_lost = True
            return super().read(size)

    body = Body(whole)
    monkeypatch.setattr(transfer.SLOTS, "take", take)
    monkeypatch.setattr(transfer, "_reader", lambda request: body.read)

    problem = refused(put_in(alice, b"?", Idempotency_Key="lost"), 503, "tenant_busy")

    assert "Idempotency-Key" in problem["detail"]
    assert 0 < problem["import"]["inserted"] < 3_000
    assert not problem["import"]["complete"]
    monkeypatch.setattr(transfer, "_reader", lambda request: io.BytesIO(whole).read)
    monkeypatch.setattr(transfer.SLOTS, "take", real)
    assert told(put_in(alice, b"?", Idempotency_Key="lost"))[0]["inserted"] == 3_000
