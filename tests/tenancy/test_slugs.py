"""A tenant is found by its slug without the catalog, and never by one that is another's."""

import pytest

from tenancy import catalog, lifecycle
from tenancy.models import Organization, OrganizationStatus
from tenancy.slugs import find_tenant
from tests.conftest import ACTOR


def test_a_slug_is_looked_up_once(acme, django_assert_num_queries):
    first = find_tenant("acme")

    with django_assert_num_queries(0):
        assert find_tenant("acme") is first
    assert first is not None
    assert first.id == acme.id


def test_nobody_has_an_unknown_slug_and_whoever_gets_it_is_found_at_once(acme):
    assert find_tenant("umbrella") is None

    Organization.objects.filter(pk=acme.id).update(slug="umbrella")
    catalog.forget_tenant(acme.id)

    found = find_tenant("umbrella")
    assert found is not None
    assert found.id == acme.id


@pytest.mark.needs_mongod
def test_a_slug_that_was_renamed_away_finds_nobody_and_then_its_next_owner(acme, globex):
    assert find_tenant("acme") is not None

    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    assert find_tenant("acme") is None
    Organization.objects.filter(pk=globex.id).update(slug="acme")
    catalog.forget_tenant(globex.id)

    found = find_tenant("acme")
    assert found is not None
    assert found.id == globex.id


def test_a_slug_that_changed_hands_within_the_lifetime_finds_the_one_that_has_it(acme, globex):
    assert find_tenant("acme").id == acme.id

    Organization.objects.filter(pk=acme.id).update(slug="former")
    Organization.objects.filter(pk=globex.id).update(slug="acme")
    catalog.forget_tenant(acme.id)
    catalog.forget_tenant(globex.id)

    assert find_tenant("acme").id == globex.id


def test_a_purged_organization_is_found_by_nobody(acme):
    assert find_tenant("acme") is not None

    Organization.objects.filter(pk=acme.id).update(status="purged", slug=None, name="")
    catalog.forget_tenant(acme.id)

    assert find_tenant("acme") is None


def test_a_slug_that_a_tenant_got_in_another_process_is_found_at_once(acme):
    assert find_tenant("acme") is not None

    Organization.objects.filter(pk=acme.id).update(slug="umbrella")

    found = find_tenant("umbrella")
    assert found is not None
    assert (found.id, found.slug) == (acme.id, "umbrella")


def test_a_status_that_a_tenant_got_in_another_process_is_seen_at_once(acme):
    rows = Organization.objects.filter(pk=acme.id)
    rows.update(status=OrganizationStatus.PROVISIONING)
    catalog.forget_tenant(acme.id)
    assert find_tenant("acme", statuses=[OrganizationStatus.ACTIVE]) is None

    rows.update(status=OrganizationStatus.ACTIVE)

    assert find_tenant("acme", statuses=[OrganizationStatus.ACTIVE]) is not None
