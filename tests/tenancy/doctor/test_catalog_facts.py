"""Whose a namespace is, by its name."""

import uuid

from tenancy.doctor.catalog_facts import id_at, slug_at
from tenancy.names import namespace_of_id


def test_only_a_possible_namespace_has_a_slug():
    assert slug_at("org_a_b") == "a-b"
    assert [slug_at(name) for name in ("org_A", "org_a-b", "org_", "org_" + "a" * 49)] == [None] * 4


def test_a_namespace_of_an_id_tells_it():
    organization_id = uuid.uuid4()

    assert id_at(namespace_of_id(organization_id)) == organization_id
    assert id_at("org_acme") is None
