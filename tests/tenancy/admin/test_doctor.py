"""The doctor's page: nothing happens before somebody asks, and a repair is explained first."""

import pytest
from django.test import Client

from tenancy.admin import doctor
from tenancy.doctor import Examination, Finding, examination
from tenancy.models import AuditEvent, Collection
from tests.tenancy.admin.conftest import operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

DOCTOR = "/admin/doctor/"


@pytest.fixture(autouse=True)
def impatient_doctor(monkeypatch):
    monkeypatch.setattr(examination, "SECOND_LOOK_SECONDS", 0.0)


@pytest.fixture
def missing(initech):
    """An organization with a collection that was declared a moment ago, and never made."""
    return Collection.objects.create(organization=initech, name="late")


def ask(client, act):
    return client.post(DOCTOR, {"act": act})


def test_a_get_asks_nobody(operator, initech, monkeypatch):
    monkeypatch.setattr(doctor, "check_tenants", None)

    page = operator.get(DOCTOR, {"act": "repair"})

    assert 'value="Check now"' in text_of(page)
    assert not AuditEvent.objects.filter(action=doctor.CHECKED).exists()


def test_a_check_of_what_is_well_says_so_and_is_remembered(operator, root, initech):
    page = text_of(ask(operator, "check"))

    assert "Nothing is wrong." in page
    assert "Checked: 1 organizations" in page
    event = AuditEvent.objects.get(action=doctor.CHECKED)
    assert (event.actor, event.details["wrong"]) == (f"user:{root.pk}", 0)
    assert "Last asked" in text_of(operator.get(DOCTOR))


def test_what_is_wrong_is_listed_and_repaired_after_an_explanation(operator, missing, mongo):
    page = text_of(ask(operator, "check"))
    assert "org_initech.late" in page
    assert "1 wrong, 0 repaired." in page
    assert "Repair mends it." in page
    assert "Repair what is safe (1)" in page

    assert 'value="Repair now"' in text_of(ask(operator, "explain"))
    assert "org_initech.late" not in mongo.list_collection_names()

    assert "0 wrong, 1 repaired." in text_of(ask(operator, "repair"))
    assert "org_initech.late" in mongo.list_collection_names()


def test_many_findings_are_grouped_and_bounded(operator, initech, monkeypatch):
    same = [Finding("stray", None, "It is <b>odd</b>.", f"n-{n}", False) for n in range(500)]
    others = [Finding(f"code_{n}", None, f"W {n}", "x", False) for n in range(80)]
    found = Examination(1, 1, [*same, *others])
    monkeypatch.setattr(doctor, "check_tenants", lambda **_: found)

    page = ask(operator, "check")

    shown = text_of(page)
    assert len(page.context["groups"]) == doctor.GROUPS_MAX
    assert "And 31 more groups" in shown
    assert ("n-19<" in shown, "n-20<" in shown) == (True, False)
    assert "It is &lt;b&gt;odd" in shown
    assert "Repair what is safe" not in shown


def test_two_checks_do_not_run_at_the_same_time(operator, initech):
    with doctor._at_work:
        page = ask(operator, "check")

    assert doctor.BUSY in text_of(page)
    assert not AuditEvent.objects.filter(action=doctor.CHECKED).exists()


def test_a_check_that_breaks_lets_the_next_one_begin(operator, initech, monkeypatch):
    def explode(**_):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(doctor, "check_tenants", explode)
        with pytest.raises(RuntimeError):
            ask(operator, "check")

    assert "Nothing is wrong." in text_of(ask(operator, "check"))


@pytest.mark.parametrize("act", ["", "purge", "\x00", "repair\n", "x" * 10_000])
def test_what_nobody_offered_is_not_done(operator, initech, monkeypatch, act):
    monkeypatch.setattr(doctor, "check_tenants", None)

    assert ask(operator, act).status_code == 200


def test_who_may_only_view_asks_for_nothing(initech):
    viewer = operator_who_may("view_organization")

    page = viewer.get(DOCTOR)
    assert (page.status_code, "Check now" in text_of(page)) == (200, False)
    for act in ("check", "explain", "repair"):
        assert ask(viewer, act).status_code == 403
    assert operator_who_may("view_plan").get(DOCTOR).status_code == 403


def test_nobody_else_comes_in(initech, root):
    assert Client().get(DOCTOR).url.startswith("/admin/login/")
    assert ask(Client(), "repair").url.startswith("/admin/login/")
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)
    assert ask(client, "repair").status_code == 403
