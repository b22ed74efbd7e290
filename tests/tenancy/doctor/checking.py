"""What every test of the doctor asks."""

from django.utils import timezone

from tenancy import operations
from tenancy.doctor import check_tenants
from tenancy.models import Operation
from tests.conftest import ACTOR


def check(*, repair=False, **scope):
    return check_tenants(by=ACTOR, repair=repair, **scope)


def codes(*, repair=False):
    """Return (code, repaired) of every finding."""
    return [(each.code, each.repaired) for each in check(repair=repair).findings]


def mended(code):
    """Check that it is found, mended once, and not found again."""
    assert codes() == [(code, False)]
    found = check(repair=True).findings
    assert [(each.code, each.repaired, each.reason) for each in found] == [(code, True, "")], found
    assert codes() == []


def left_alone(code, *, repairable=False):
    """Check that it is found, and still found after a repair. Return why."""
    assert [(each.code, each.repairable) for each in check().findings] == [(code, repairable)]
    assert codes(repair=True) == [(code, False)]
    assert codes() == [(code, False)]
    return check(repair=True).findings[0].reason


def finish_everything():
    while (due := Operation.objects.open().order_by("not_before").first()) is not None:
        Operation.objects.filter(pk=due.pk).update(not_before=timezone.now())
        operations.resume_operations()
