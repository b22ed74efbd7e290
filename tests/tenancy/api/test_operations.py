"""The organization's journal over HTTP: API.md, section 3."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tenancy.models import Operation
from tests.http import refused

OPERATIONS = "/api/v1/operations"


@pytest.fixture
def journal(acme, globex):
    """Nine operations of acme beside the one that created it; three share one moment."""
    moment = timezone.now() + timedelta(seconds=1)
    for number in range(9):
        row = Operation.objects.create(
            organization=acme.organization,
            kind=["move", "rename", "drop_collection"][number % 3],
            status="failed" if number == 4 else "succeeded",
            step="pause",
            progress_done=number,
            progress_total=9,
            state={"unit": "documents"},
            error="It did not work." if number == 4 else "",
            blocking=False,
            not_before=moment,
            by="command:test",
        )
        later = moment + timedelta(seconds=number // 3)
        Operation.objects.filter(pk=row.pk).update(created_at=later)
    return list(Operation.objects.filter(organization=acme.organization))


def ids(client, **query):
    return [row["id"] for row in client.get(OPERATIONS, query).json()["data"]]


def test_the_newest_comes_first(alice, journal):
    times = [row["created_at"] for row in alice.get(OPERATIONS).json()["data"]]

    assert (len(times), times) == (10, sorted(times, reverse=True))


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 9, 10])
def test_pages_give_each_exactly_once(alice, journal, limit):
    seen, cursor = [], None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = alice.get(OPERATIONS, query).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["page"]["next"]
        if cursor is None:
            break

    assert seen == ids(alice)
    assert len(set(seen)) == 10


def test_they_are_filtered_by_status_and_kind(alice, journal):
    assert len(ids(alice, status="failed")) == 1
    assert len(ids(alice, kind="rename")) == 3
    assert len(ids(alice, kind="rename", status="succeeded")) == 2
    assert len(ids(alice, kind="create")) == 1


def test_a_cursor_is_good_for_its_own_list_only(alice, charlie, journal):
    cursor = alice.get(OPERATIONS, {"limit": 2}).json()["page"]["next"]

    for client, query in (
        (alice, {"cursor": cursor, "kind": "rename"}),
        (charlie, {"cursor": cursor}),
        (alice, {"cursor": "x"}),
    ):
        refused(client.get(OPERATIONS, query), 400, "cursor_invalid")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"status": "done"}, "invalid_parameter"),
        ({"kind": "explode"}, "invalid_parameter"),
        ({"limit": "0"}, "invalid_parameter"),
        ({"sort": "kind"}, "unknown_parameter"),
    ],
)
def test_what_the_list_cannot_do_is_refused(alice, query, code):
    refused(alice.get(OPERATIONS, query), 400, code)


def test_one_is_shown_as_it_is(alice, journal):
    row = Operation.objects.get(status="failed")

    body = alice.get(f"{OPERATIONS}/{row.pk}").json()

    assert body == {
        "id": str(row.pk),
        "kind": row.kind,
        "status": "failed",
        "step": "pause",
        "progress": {"done": 4, "total": 9, "unit": "documents"},
        "error": "It did not work.",
        "by": "command:test",
        "not_before": row.not_before.isoformat(),
        "created_at": row.created_at.isoformat(),
        "ended_at": None,
    }


def test_another_s_looks_like_one_that_does_not_exist(alice, charlie, journal):
    answers = [
        refused(charlie.get(f"{OPERATIONS}/{wanted}"), 404, "not_found")
        for wanted in (journal[0].pk, uuid.uuid4(), "x", "0" * 500)
    ]

    for body in answers:
        body.pop("request_id")
        body.pop("instance")
    assert answers == answers[:1] * 4
    assert str(journal[0].pk) not in ids(charlie)


def test_editors_and_viewers_may_not(bob, vera, nobody, journal):
    for path in (OPERATIONS, f"{OPERATIONS}/{journal[0].pk}"):
        refused(bob.get(path), 403, "permission_denied")
        refused(vera.get(path), 403, "permission_denied")
        refused(nobody.get(path), 401, "not_authenticated")
