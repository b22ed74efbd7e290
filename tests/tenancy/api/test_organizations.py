"""GET, PATCH and DELETE /api/v1/organization: the credential's own, and nobody else's."""

import pytest
from django.utils.dateparse import parse_datetime

from accounts.models import Membership
from accounts.principals import forget_members
from accounts.roles import Role
from tenancy import lifecycle
from tenancy.models import AuditEvent, Operation, Organization, OrganizationStatus
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")

ROUTE = "/api/v1/organization"
DOCUMENTS = "/api/v1/collections/main/documents"


@pytest.fixture
def adam(acme):
    """Vera, as an admin."""
    rows = Membership.objects.filter(user=acme.users["vera"])
    rows.update(role=Role.ADMIN)
    forget_members()
    return acme.client("vera")


def rename(client, name):
    return client.patch(ROUTE, {"name": name})


def delete(client, **body):
    return client.delete(ROUTE, body)


def assert_problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


def pointers(answer):
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


def row_of(cast):
    return Organization.objects.get(pk=cast.id)


def assert_untouched(cast, name="Acme"):
    row = row_of(cast)
    assert (row.name, row.slug, row.status) == (name, name.lower(), OrganizationStatus.ACTIVE)
    assert not Operation.objects.filter(kind__in=["rename", "delete", "purge"]).exists()


# --- GET ----------------------------------------------------------------------------------------


def test_get_answers_with_the_contract(naming, acme, vera):
    body = vera.get(ROUTE).json()

    row = row_of(acme)
    assert parse_datetime(body.pop("created_at")) == row.created_at
    assert body == {
        "id": str(acme.id),
        "name": "Acme",
        "slug": "acme",
        "status": "active",
        "plan": "standard",
        "region": None,
        "placement": {
            "kind": "collection",
            "cluster": "default",
            "namespace": "org_acme" if naming == "name" else f"org_{acme.id.hex}",
            "epoch": 1,
        },
        "collections": ["main"],
        "usage": {"documents": 0, "bytes": 0, "collections": 1, "members": 3},
        "limits": {
            "documents": None, "bytes": None, "collections": 100, "document_bytes": 1_048_576,
            "members": None, "requests_per_minute": None, "burst": None,
        },
        "settings": {},
        "two_factor_required": False,
    }  # fmt: skip


def test_get_shows_neither_uri_nor_people(acme, alice):
    text = alice.get(ROUTE).content.decode()

    assert "mongodb" not in text
    assert "example.com" not in text


@pytest.mark.parametrize("who", ["alice", "bob", "vera"])
def test_every_role_may_read(acme, who):
    assert acme.client(who).get(ROUTE).status_code == 200


def test_nobody_reads_without_a_credential(acme, nobody):
    for method in ("get", "patch", "delete"):
        assert_problem(getattr(nobody, method)(ROUTE), 401, "not_authenticated")


def test_outsider_sees_and_changes_the_own_organization_only(acme, globex, charlie):
    assert charlie.get(ROUTE).json()["slug"] == "globex"
    assert rename(charlie, "Globex Two").json()["name"] == "Globex Two"

    assert_untouched_row(acme)


def assert_untouched_row(cast):
    assert (row_of(cast).name, row_of(cast).status) == ("Acme", "active")


@pytest.mark.parametrize("parameter", ["id", "organization", "slug"])
def test_no_parameter_names_another_organization(acme, globex, alice, parameter):
    answer = alice.get(ROUTE, {parameter: "globex"})

    assert_problem(answer, 400, "unknown_parameter")


@pytest.mark.parametrize("method", ["post", "put"])
def test_other_methods_are_not_there(alice, method):
    answer = getattr(alice, method)(ROUTE, {"name": "X"})

    assert_problem(answer, 405, "method_not_allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(answer["Allow"].split(", "))


# --- PATCH --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_editor_and_viewer_cannot_rename(acme, who):
    answer = rename(acme.client(who), "Umbrella")

    assert_problem(answer, 403, "permission_denied")
    assert "organization.update" in answer.json()["detail"]
    assert_untouched(acme)


def test_owner_and_admin_rename(acme, alice, adam):
    assert rename(adam, "Umbrella").status_code == 200
    assert rename(alice, "Initech").status_code == 200

    assert row_of(acme).name == "Initech"
    actors = AuditEvent.objects.filter(action="organization.renamed").values_list(
        "actor", flat=True
    )
    assert set(actors) == {f"user:{acme.users[who].pk}" for who in ("alice", "vera")}


def test_rename_is_finished_when_the_answer_arrives(naming, acme, alice, mongo):
    body = rename(alice, "  Umbrella   Corp. ").json()

    assert (body["name"], body["slug"], body["status"]) == (
        "Umbrella Corp.",
        "umbrella-corp",
        "active",
    )
    if naming == "name":
        assert (body["placement"]["namespace"], body["placement"]["epoch"]) == (
            "org_umbrella_corp",
            2,
        )
    assert body["placement"]["namespace"] in mongo.list_collection_names()
    assert alice.get(ROUTE).json() == body


def test_rename_keeps_documents_readable_by_all(naming, acme, alice, vera):
    document = alice.post(DOCUMENTS, {"n": 1}).json()
    path = f"{DOCUMENTS}/{document['_id']['$oid']}"

    for name in ("Umbrella", "Initech", "Acme"):
        assert rename(alice, name).status_code == 200
        assert vera.get(path).json() == document
        assert vera.get(DOCUMENTS).json()["data"] == [document]

    assert alice.put(path, {"n": 2}).status_code == 200


def test_rename_to_the_same_name_changes_nothing(acme, alice):
    before = alice.get(ROUTE).json()

    assert rename(alice, "Acme").json() == before

    assert_untouched(acme)


def test_rename_to_another_case_keeps_the_documents(acme, alice):
    alice.post(DOCUMENTS, {"n": 1})

    body = rename(alice, "ACME").json()

    assert (body["name"], body["slug"]) == ("ACME", "acme")
    assert len(alice.get(DOCUMENTS).json()["data"]) == 1


@pytest.mark.parametrize("name", ["Globex", "GLOBEX", " globex! "])
def test_name_taken_is_409_and_touches_nobody(naming, acme, globex, alice, name):
    answer = rename(alice, name)

    assert_problem(answer, 409, "name_taken")
    assert pointers(answer) == {"/name": "name_taken"}
    assert_untouched(acme)
    assert_untouched(globex, "Globex")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "empty"), ("  ", "empty"), ("$", "no letter or digit"), ("..", "no letter or digit"),
     ("/", "no letter or digit"), ("a" * 300, "300 characters"), ("\u202eX", "U+202E"),
     ("X\u200b", "U+200B"), ("admin", "reserved"), ("config", "reserved"), ("LOCAL", "reserved"),
     ("0" * 32, "reserved")],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_hostile_name_is_refused_with_its_reason(acme, alice, name, reason):
    answer = rename(alice, name)

    assert_problem(answer, 422, "validation_failed")
    assert pointers(answer) == {"/name": "invalid_name"}
    assert reason in answer.json()["detail"]
    assert_untouched(acme)


@pytest.mark.parametrize(
    "name", [None, 5, 1.5, True, [], ["X"], {}, {"$ne": 1}, "x" * 2000, "X\x00"], ids=ascii
)
def test_what_is_no_name_at_all_is_pointed_at(acme, alice, name):
    answer = rename(alice, name)

    assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {"/name"}
    assert_untouched(acme)


@pytest.mark.parametrize(
    "name", ["Ünïcode Ltd", "東京", "🚀 Rockets", "system.users", "a/b", ".*x"]
)
def test_odd_but_readable_name_is_kept_as_it_is_written(acme, alice, mongo, name):
    body = rename(alice, name).json()

    assert body["name"] == name
    assert body["placement"]["namespace"] in mongo.list_collection_names()
    assert alice.get(DOCUMENTS).status_code == 200


@pytest.mark.parametrize(
    ("field", "near"), [("nmae", "name"), ("names", "name"), ("slug", None), ("id", None)]
)
def test_unknown_field_is_refused_with_the_nearest_name(acme, alice, field, near):
    answer = alice.patch(ROUTE, {"name": "Umbrella", field: "x"})

    assert_problem(answer, 422, "validation_failed")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"/{field}"
    assert near is None or f"Did you mean “{near}”?" in error["message"]
    assert_untouched(acme)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"", 400, "malformed_json"), (b"{", 400, "malformed_json"), (b"[]", 422, "validation_failed"),
     (b"null", 422, "validation_failed"), (b"{}", 422, "validation_failed"),
     (b'{"name": "\\ud800"}', 422, "invalid_document"),
     (b'{"name": "A", "name": "B"}', 422, "invalid_document"),
     (b"\xff\xfe", 400, "malformed_json")],
)  # fmt: skip
def test_body_that_is_no_change_is_refused(acme, alice, body, status, code):
    answer = alice.generic("PATCH", ROUTE, body, content_type="application/json")

    assert_problem(answer, status, code)
    assert_untouched(acme)


def test_body_of_another_type_is_415(acme, alice):
    answer = alice.generic(
        "PATCH", ROUTE, "name=X", content_type="application/x-www-form-urlencoded"
    )

    assert_problem(answer, 415, "unsupported_media_type")


def test_suspended_organization_is_neither_read_nor_changed(acme, alice):
    lifecycle.suspend_organization(acme.id, by=ACTOR)

    for answer in (alice.get(ROUTE), rename(alice, "X"), delete(alice, confirm="acme")):
        assert_problem(answer, 403, "organization_suspended")


# --- DELETE -------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_editor_and_viewer_cannot_delete(acme, who):
    assert_problem(delete(acme.client(who), confirm="acme"), 403, "permission_denied")
    assert_untouched(acme)


def test_admin_cannot_delete(acme, adam):
    answer = delete(adam, confirm="acme", purge=True)

    assert_problem(answer, 403, "permission_denied")
    assert_untouched(acme)


@pytest.mark.parametrize("confirm", ["Acme", "ACME", "globex", " ", "acme-", "*"])
def test_delete_wants_the_slug(acme, alice, confirm):
    answer = delete(alice, confirm=confirm)

    assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {"/confirm"}
    assert_untouched(acme)


@pytest.mark.parametrize("confirm", [None, True, [], {}, {"$ne": 1}], ids=repr)
def test_delete_wants_the_slug_as_text(acme, alice, confirm):
    assert set(pointers(delete(alice, confirm=confirm))) == {"/confirm"}
    assert_untouched(acme)


def test_delete_without_confirmation_points_at_it(acme, alice):
    answer = delete(alice, purge=True)

    assert_problem(answer, 422, "validation_failed")
    assert pointers(answer) == {"/confirm": "required"}
    assert_problem(alice.delete(ROUTE), 400, "malformed_json")
    assert_untouched(acme)


@pytest.mark.parametrize("purge", [None, "maybe", [], 2, 1, "true", "yes"], ids=repr)
def test_delete_with_an_unclear_purge_deletes_nothing(acme, alice, purge):
    assert set(pointers(delete(alice, confirm="acme", purge=purge))) == {"/purge"}
    assert_untouched(acme)


def test_delete_refuses_unknown_fields_with_the_nearest_name(acme, alice):
    answer = delete(alice, confirm="acme", pruge=True)

    assert "Did you mean “purge”?" in answer.json()["errors"][0]["message"]
    assert_untouched(acme)


def test_delete_answers_with_the_operation_of_the_purge(acme, alice):
    answer = delete(alice, confirm="acme")

    body, row = answer.json(), row_of(acme)
    operation = Operation.objects.get(kind="purge")
    assert (answer.status_code, body["id"]) == (202, str(operation.pk))
    assert (body["kind"], body["status"], body["error"]) == ("purge", "pending", None)
    assert body["progress"] == {"done": 0, "total": 0}
    assert parse_datetime(body["purge_after"]) == row.purge_after
    assert row.status == "deleting"


def test_deleted_organization_keeps_its_data_until_the_purge(acme, alice, mongo):
    alice.post(DOCUMENTS, {"n": 1})

    delete(alice, confirm="acme")

    assert mongo["org_acme"].count_documents({}) == 1
    lifecycle.restore_organization(acme.id, by=ACTOR)
    assert len(acme.client("alice").get(DOCUMENTS).json()["data"]) == 1


def test_delete_with_purge_has_dropped_the_data_when_it_answers(naming, acme, globex, alice, mongo):
    alice.post(DOCUMENTS, {"n": 1})

    answer = delete(alice, confirm="acme", purge=True)

    assert answer.status_code == 202
    assert mongo.list_collection_names() == [globex.organization.placement.namespace]


@pytest.mark.parametrize("purge", [False, True])
def test_token_is_dead_after_a_delete(acme, globex, alice, bob, charlie, purge):
    delete(alice, confirm="acme", purge=purge)

    for client in (alice, bob):
        assert_problem(client.get(ROUTE), 401, "token_revoked")
        assert_problem(client.get(DOCUMENTS), 401, "token_revoked")
    assert_problem(delete(alice, confirm="acme"), 401, "token_revoked")
    assert charlie.get(ROUTE).status_code == 200


def test_delete_confirms_with_the_slug_of_now(acme, alice):
    rename(alice, "Umbrella")

    assert set(pointers(delete(alice, confirm="acme"))) == {"/confirm"}
    assert delete(alice, confirm="umbrella").status_code == 202
