"""An import goes on through a rename, and fills a plan to the last document."""

import pytest

from tenancy import catalog, lifecycle
from tenancy.answers import Ask
from tenancy.exceptions import IdempotencyKeyReused, ImportStopped, PlanLimitReached, TenantBusy
from tenancy.imports import Manner, Target, import_lines
from tenancy.models import Operation, OperationStatus, Plan
from tenancy.mongo.once import Record
from tenancy.ndjson import Line

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]

BY = "command:test"


def lines_of(count, at=-1, act=lambda: None):
    for number in range(1, count + 1):
        if number == at:
            act()
        yield Line(number, b'{"_id": %d, "half": %d}' % (number, number // 2))


def test_an_import_goes_on_where_the_organization_is_renamed_to(acme, behind):
    def rename():
        lifecycle.rename_organization(acme.id, "Umbrella", by=BY)

    report, _ = import_lines(Target(acme.id, "main", BY), lines_of(3_000, 1_500, rename), Manner())

    assert (report["inserted"], report["complete"]) == (3_000, True)
    stored = behind.stored_of(acme.organization)
    assert stored.collection.name == "org_umbrella"
    assert stored.count_documents({}) == 3_000


def test_an_import_asks_before_each_batch_whether_it_may_go_on(acme, behind):
    asked = []

    def check():
        asked.append(behind.stored_of(acme.organization).count_documents({}))
        if len(asked) == 3:
            raise TenantBusy

    with pytest.raises(TenantBusy) as caught:
        import_lines(Target(acme.id, "main", BY), lines_of(3_000), Manner(), check=check)

    assert asked == [0, 1_000, 2_000]
    assert caught.value.extra["import"]["inserted"] == 2_000


def test_an_import_stores_exactly_as_many_as_the_plan_has_room_for(acme, behind):
    Plan.objects.update(max_documents=1_234)
    catalog.forget_tenant(acme.id)

    with pytest.raises(PlanLimitReached) as caught:
        import_lines(Target(acme.id, "main", BY), lines_of(2_000), Manner())

    assert caught.value.extra["import"]["inserted"] == 1_234
    assert behind.stored_of(acme.organization).count_documents({}) == 1_234


def test_lines_that_a_unique_index_refuses_are_left_out_and_told(acme, behind):
    behind.stored_of(acme.organization).create_index("half", unique=True)
    target = Target(acme.id, "main", BY)

    report, _ = import_lines(target, lines_of(40), Manner(skip=True))
    with pytest.raises(ImportStopped) as caught:
        import_lines(
            target, (Line(n, b'{"half": %d}' % (98 + n // 3)) for n in (1, 2, 3)), Manner()
        )

    assert (report["inserted"], report["failed"]) == (21, 19)
    assert [each["line"] for each in report["problems"]] == list(range(3, 40, 2))
    assert caught.value.extra["problem"]["line"] == 2
    assert behind.stored_of(acme.organization).count_documents({}) == 22


def test_a_repeat_does_not_go_on_in_another_collection_of_the_same_name(acme, behind):
    record = Record(acme.id, Ask("user:1", "key", "digest"))
    target = Target(acme.id, "notes", BY)

    def make_anew():
        lifecycle.drop_collection(acme.id, "notes", by=BY)
        Operation.objects.filter(kind="drop_collection").update(status=OperationStatus.SUCCEEDED)
        assert lifecycle.declare_collection(acme.id, "notes", by=BY)

    lifecycle.declare_collection(acme.id, "notes", by=BY)
    with pytest.raises(IdempotencyKeyReused, match="dropped") as during:
        import_lines(target, lines_of(3_000, 1_500, make_anew), Manner(), record)
    with pytest.raises(IdempotencyKeyReused, match="dropped"):
        import_lines(target, lines_of(3_000), Manner(), record)

    assert during.value.extra["import"]["inserted"] == 1_000
    assert behind.stored_of(acme.organization, "notes").find() == []
