"""Operators read the audit, search it, and verify a chain; nobody changes it there."""

import pytest
from django.urls import reverse

from tenancy.audit import record_event
from tenancy.context import Origin, origin_context
from tenancy.models import AuditEvent
from tests.tenancy.admin.conftest import detail, operator_who_may, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mongo")]

LIST = "/admin/tenancy/auditevent/"


def verify_url(key):
    return reverse("admin:tenancy_auditevent_verify", args=[key])


@pytest.fixture
def events(initech, hooli):
    with origin_context(Origin("request-7", "203.0.113.7")):
        record_event(initech, "session.opened", by="user:someone")
        record_event(None, "plan.changed", by="user:operator", plan="large")
    return AuditEvent.objects.in_chain(str(initech.pk))


def found(operator, **query):
    page = operator.get(LIST, query)
    assert page.status_code == 200
    return {event.action for event in page.context["cl"].result_list}


def test_events_are_searched_by_organization_actor_action_and_request(operator, events, initech):
    assert found(operator, q="Initech") == {"organization.created", "session.opened"}
    assert found(operator, q=str(initech.pk)) == {"organization.created", "session.opened"}
    assert found(operator, q="user:operator") == {"plan.changed"}
    assert found(operator, q="session.opened") == {"session.opened"}
    assert found(operator, q="request-7") == {"session.opened", "plan.changed"}
    assert found(operator, of="service") == {"plan.changed", "operator.signed_in"}
    assert found(operator, of="organizations") == {"organization.created", "session.opened"}
    assert found(operator, at__year=2001) == set()


def test_an_event_is_read_and_never_changed(operator, events):
    event = events.get(action="session.opened")
    page = f"{LIST}{event.pk}/change/"

    shown = text_of(operator.get(page))

    for text in ("203.0.113.7", "request-7", event.hash, "user:someone"):
        assert text in shown
    assert operator.post(page, {"actor": "x"}).status_code == 403
    assert operator.post(f"{LIST}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get(f"{LIST}add/").status_code == 403
    assert "delete_selected" not in text_of(operator.get(LIST))


@pytest.mark.parametrize("of", ["organization", "service"])
def test_a_chain_is_verified_from_its_page(operator, events, initech, of):
    key = str(initech.pk) if of == "organization" else "service"
    event = AuditEvent.objects.in_chain(key).first()
    assert verify_url(key) in text_of(operator.get(f"{LIST}{event.pk}/change/"))

    page = text_of(operator.get(verify_url(key), follow=True))

    assert "The audit is whole" in page
    assert event.hash in page


def test_the_page_of_an_organization_leads_there(operator, initech):
    assert verify_url(initech.pk) in text_of(operator.get(detail(initech)))


def test_a_broken_chain_is_told(operator, events, initech):
    AuditEvent._base_manager.filter(chain=str(initech.pk), sequence=1).update(actor="user:z")

    page = text_of(operator.get(verify_url(initech.pk), follow=True))

    assert "The audit is broken at sequence 1" in page


def test_only_those_who_may_see_events_verify_them(initech, client):
    viewer = operator_who_may("view_organization")

    assert viewer.get(verify_url(initech.pk)).status_code == 403
    assert viewer.get(detail(initech)).context["tools"] == []
    assert client.get(verify_url(initech.pk)).status_code == 302
