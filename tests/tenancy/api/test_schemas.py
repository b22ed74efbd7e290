"""The JSON Schemas of collections over HTTP: API.md, section 4."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tenancy import catalog, lifecycle, schemas
from tenancy.exceptions import CollectionNotFound
from tenancy.lifecycle import schemas as acts
from tenancy.lifecycle.schemas import CollectionSchema, get_schema, set_schema
from tenancy.models import AuditEvent, Collection
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, document_url, pointers, refused, send

SCHEMA = "/api/v1/collections/main/schema"
CHECK = f"{SCHEMA}/check"
MODES = ("warn", "enforce")
ORDER = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "number", "minimum": 0}, "at": {"required": ["$date"]}},
    "additionalProperties": False,
}


def put(client, mode, json_schema=ORDER, path=SCHEMA):
    return send(client, "PUT", path, {"json_schema": json_schema, "mode": mode})


def test_a_schema_is_set_read_replaced_and_taken_away(alice, vera, acme):
    assert vera.get(SCHEMA).json() == {"json_schema": None, "mode": "off"}

    for mode, schema in (("warn", ORDER), ("enforce", ORDER), ("off", {}), ("off", None)):
        answer = put(alice, mode, schema)
        assert (answer.status_code, answer.json()) == (200, {"json_schema": schema, "mode": mode})
        assert vera.get(SCHEMA).json() == answer.json()
        assert put(alice, mode, schema).json() == answer.json()
        assert vera.get("/api/v1/collections/main").json()["schema_mode"] == mode

    events = AuditEvent.objects.filter(action="schema.changed").order_by("sequence")
    assert [event.details["mode"] for event in events] == ["warn", "enforce", "off", "off"]


@pytest.mark.everywhere
def test_an_enforced_schema_refuses_whatever_would_be_stored(alice, bob):
    put(alice, "enforce")
    good, bad = {"total": 1, "at": {"$date": "2026-01-31T09:30:00Z"}}, {"total": -1, "more": 1}
    assert send(bob, "PUT", document_url("a"), good).status_code == 201

    for answer in (
        send(bob, "POST", DOCUMENTS, bad),
        send(bob, "PUT", document_url("a"), bad),
        send(bob, "PUT", document_url("new"), bad),
        send(bob, "PATCH", document_url("a"), {"total": -1, "more": 1}),
    ):
        problem = refused(answer, 422, "schema_violation")
        assert sorted((each["pointer"], each["code"]) for each in problem["errors"]) == [
            ("", "additionalProperties"),
            ("/total", "minimum"),
        ]
        assert "Schema-Violations" not in answer

    refused(send(bob, "PATCH", document_url("a"), {"total": None}), 422, "schema_violation")
    assert send(bob, "PATCH", document_url("a"), {"total": 2}).status_code == 200
    assert [row["total"] for row in bob.get(DOCUMENTS).json()["data"]] == [2]
    put(alice, "off")
    assert send(bob, "POST", DOCUMENTS, bad).status_code == 201


def test_a_schema_that_warns_stores_and_counts(alice, bob):
    put(alice, "warn")

    stored = send(bob, "PUT", document_url("a"), {"total": "much"})
    patched = send(bob, "PATCH", document_url("a"), {"total": "more"})
    mended = send(bob, "PATCH", document_url("a"), {"total": 1})

    assert (stored.status_code, stored["Schema-Violations"]) == (201, "1")
    assert (patched.status_code, patched["Schema-Violations"]) == (200, "1")
    assert (mended.status_code, "Schema-Violations" in mended) == (200, False)
    assert "Schema-Violations" not in bob.get(document_url("a"))


def test_a_repeat_under_the_same_key_is_warned_again(alice, bob):
    put(alice, "warn")

    first, again = (send(bob, "POST", DOCUMENTS, {}, Idempotency_Key="k1") for _ in range(2))

    assert first.json() == again.json()
    assert [answer["Schema-Violations"] for answer in (first, again)] == ["1", "1"]


def test_others_have_schemas_of_their_own(alice, charlie, globex):
    put(alice, "enforce")

    assert charlie.get(SCHEMA).json() == {"json_schema": None, "mode": "off"}
    assert send(charlie, "POST", DOCUMENTS, {}).status_code == 201


@pytest.mark.everywhere
def test_what_is_stored_is_tried_without_being_changed(alice, bob):
    for name, fields in (("a", {"total": 1}), ("b", {"total": -1}), ("c", {"x": 1})):
        send(bob, "PUT", document_url(name), fields)
    refused(send(alice, "POST", CHECK, {}), 422, "validation_failed")

    tried = send(alice, "POST", CHECK, {"json_schema": ORDER}).json()
    put(alice, "warn")
    without_body = alice.post(CHECK).json()

    assert tried == without_body
    violations = [(each["_id"], each["pointer"]) for each in tried.pop("violations")]
    assert sorted(violations) == [("b", "/total"), ("c", ""), ("c", "")]
    assert tried == {"examined": 3, "failing": 2, "complete": True, "next": None}


def test_a_trial_that_takes_too_long_says_how_far_it_came_and_goes_on(alice, bob, monkeypatch):
    for number in range(5):
        send(bob, "PUT", document_url(f"{number}"), {"n": number})
    monkeypatch.setattr(acts, "EXAMINE_SECONDS", 0)
    monkeypatch.setattr(acts, "EXAMINE_BATCH", 2)
    seen, body = [], {"json_schema": {"required": ["x"]}}

    answer = send(alice, "POST", CHECK, body).json()
    while not answer["complete"]:
        seen += [each["_id"] for each in answer["violations"]]
        answer = send(alice, "POST", CHECK, {**body, "cursor": answer["next"]}).json()
    seen += [each["_id"] for each in answer["violations"]]

    assert seen == ["0", "1", "2", "3", "4"]
    cursor = send(alice, "POST", CHECK, body).json()["next"]
    other = {"json_schema": {}, "cursor": cursor}
    refused(send(alice, "POST", CHECK, other), 400, "cursor_invalid")


def test_a_trial_tells_of_a_hundred_violations_at_most(alice, bob, acme, monkeypatch):
    monkeypatch.setattr(acts, "EXAMINE_MAX_VIOLATIONS", 3)
    for _ in range(5):
        send(bob, "POST", DOCUMENTS, {})

    answer = send(alice, "POST", CHECK, {"json_schema": {"required": ["x", "y"]}}).json()

    assert (answer["failing"], len(answer["violations"])) == (5, 3)


def test_a_body_that_is_none_is_refused_with_its_place(alice):
    for body, where in (
        ({}, ["/json_schema", "/mode"]),
        ({"json_schema": {}}, ["/mode"]),
        ({"json_schema": None, "mode": "enforce"}, ["/mode"]),
        ({"json_schema": {}, "mode": 5}, ["/mode"]),
        ({"json_schema": {}, "mode": "enforced"}, ["/mode"]),
        ({"json_schema": [], "mode": "off"}, ["/json_schema"]),
        ({"json_schema": {"type": "x"}, "mode": "off"}, ["/json_schema/type"]),
        ({"json_schema": {"$ref": "http://127.0.0.1:1/x"}, "mode": "off"}, ["/json_schema/$ref"]),
        ({"json_schema": {"enum": ["x" * 100_000]}, "mode": "off"}, ["/json_schema"]),
        ({"json_schema": {}, "mode": "off", "modes": 1}, ["/modes"]),
        ([], [""]),
    ):
        problem = refused(send(alice, "PUT", SCHEMA, body), 422, "validation_failed")
        assert sorted(pointers(problem)) == where
    nearest = send(alice, "PUT", SCHEMA, {"json_schema": {}, "mode": "enforced"}).json()
    assert "Did you mean “enforce”?" in nearest["errors"][0]["message"]
    assert alice.get(SCHEMA).json() == {"json_schema": None, "mode": "off"}


def test_only_who_manages_collections_sets_and_tries(bob, vera, alice):
    for client in (bob, vera):
        assert client.get(SCHEMA).status_code == 200
        refused(put(client, "off"), 403, "permission_denied")
        refused(send(client, "POST", CHECK, {}), 403, "permission_denied")
    for path in ("/api/v1/collections/none/schema", "/api/v1/collections/NO/schema"):
        refused(alice.get(path), 404, "not_found")
        refused(put(alice, "off", path=path), 404, "not_found")
        refused(send(alice, "POST", f"{path}/check", {"json_schema": {}}), 404, "not_found")


def test_a_dropped_collection_takes_its_schema_along(alice, acme):
    path = "/api/v1/collections/orders"
    send(alice, "POST", "/api/v1/collections", {"name": "orders"})
    put(alice, "enforce", path=f"{path}/schema")
    catalog.get_tenant(acme.id)

    Collection.objects.filter(name="orders").delete()

    with pytest.raises(CollectionNotFound):
        set_schema(acme.id, "orders", CollectionSchema(ORDER, "warn"), by=ACTOR)
    assert not Collection.objects.filter(name="orders").exists()
    catalog.clear_cache()
    send(alice, "POST", "/api/v1/collections", {"name": "orders"})
    assert get_schema(acme.id, "orders") == CollectionSchema(None, "off")


def test_of_two_that_are_set_at_once_one_holds_whole(acme):
    wanted = [CollectionSchema({"minProperties": n}, mode) for n in range(4) for mode in MODES]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: set_schema(acme.id, "main", each, by=ACTOR), wanted))

    row = Collection.objects.get(name="main")
    assert get_schema(acme.id, "main") in wanted
    assert row.schema_digest == schemas.digest_of(row.json_schema)


def test_a_process_with_an_older_snapshot_judges_by_it_for_a_ttl_at_most(alice, bob, settings):
    settings.TENANCY_CATALOG_TTL = 60
    assert send(bob, "POST", DOCUMENTS, {}).status_code == 201
    row = Collection.objects.filter(name="main")  # as another process would change it
    text = '{"required": ["total"]}'
    row.update(json_schema=text, schema_digest=schemas.digest_of(text), schema_mode="enforce")
    assert send(bob, "POST", DOCUMENTS, {}).status_code == 201

    settings.TENANCY_CATALOG_TTL = 0.5
    catalog.clear_cache()

    refused(send(bob, "POST", DOCUMENTS, {}), 422, "schema_violation")


def test_a_snapshot_whose_schema_is_gone_judges_by_the_one_that_is_there(alice, bob, settings):
    settings.TENANCY_CATALOG_TTL = 60
    text = '{"required": ["never seen"]}'
    row = Collection.objects.filter(name="main")
    row.update(json_schema=text, schema_digest=schemas.digest_of(text), schema_mode="enforce")
    bob.get(DOCUMENTS)
    row.update(json_schema="", schema_digest="", schema_mode="off")

    assert send(bob, "POST", DOCUMENTS, {}).status_code == 201


def test_a_stored_schema_that_is_not_taken_any_more_lets_nothing_through(alice, bob):
    text = '{"properties": {"a": {"pattern": "a[a-c]{12000}[d-e]a"}}}'
    row = Collection.objects.filter(name="main")
    row.update(json_schema=text, schema_digest=schemas.digest_of(text), schema_mode="enforce")
    catalog.clear_cache()

    problem = refused(send(bob, "POST", DOCUMENTS, {}), 422, "schema_violation")
    assert [each["code"] for each in problem["errors"]] == ["schema_not_taken"]

    assert put(alice, "off").status_code == 200
    assert send(bob, "POST", DOCUMENTS, {}).status_code == 201


def test_a_clone_has_the_schemas(acme, alice):
    put(alice, "enforce")

    clone = lifecycle.clone_organization(acme.id, "Staging", by=ACTOR)

    assert get_schema(clone.pk, "main") == CollectionSchema(ORDER, "enforce")


def test_a_write_under_a_schema_asks_the_catalog_nothing(
    alice, bob, settings, django_assert_num_queries
):
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 60
    put(alice, "enforce")
    send(bob, "POST", DOCUMENTS, {"total": 1})

    with django_assert_num_queries(0):
        assert send(bob, "POST", DOCUMENTS, {"total": 2}).status_code == 201
        refused(send(bob, "POST", DOCUMENTS, {"total": -2}), 422, "schema_violation")
