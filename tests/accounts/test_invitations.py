"""Invitations: made, listed, sent again, taken back."""

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.checks import check_pages
from accounts.invitation_limits import LETTERS_MAX_TO_AN_ADDRESS, OPEN_MAX_INVITATIONS
from accounts.invitations import digest_of, invite
from accounts.key_terms import scopes_of
from accounts.models import ApiKey, Invitation, Membership, User
from accounts.principals import KeyHolder
from accounts.roles import Role
from tenancy.idempotency import Attempt
from tenancy.models import AuditEvent
from tests.conftest import ACTOR
from tests.http import pointers, refused, send
from tests.invitations import (
    INVITATIONS,
    MARY,
    NEW_PASSWORD,
    accept,
    ask,
    change,
    last_token,
    letters,
    look,
    principal_of,
    roles_of,
)

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def invitation(alice):
    return ask(alice)


@pytest.fixture
def token(invitation):
    return last_token()


def row_of(invitation):
    return Invitation.objects.get(pk=invitation["id"])


# --- Made ---------------------------------------------------------------------------------------


def test_an_invitation_is_a_letter_and_a_row(acme, alice):
    answer = alice.post(INVITATIONS, {"email": " Mary@Example.COM ", "role": "editor"})

    body = answer.json()
    assert answer.status_code == 201
    assert answer["Location"] == f"{INVITATIONS}/{body['id']}"
    assert (body["email"], body["role"], body["state"]) == (MARY, "editor", "open")
    assert body["invited_by"] == {
        "id": f"user:{acme.users['alice'].pk}",
        "email": "alice@example.com",
    }
    assert (body["sent_count"], body["accepted_at"], body["revoked_at"]) == (1, None, None)
    assert [letter.to for letter in letters()] == [[MARY]]


def test_the_letter_says_who_invites_where_and_until_when(alice, settings):
    settings.ACCOUNTS_INVITATION_URL = "https://app.example/join/{token}?from=letter"

    row = row_of(ask(alice, role="admin"))

    letter = letters()[-1]
    assert letter.subject == "Invitation to Acme"
    assert "alice@example.com invites you to join “Acme” as an administrator" in letter.body
    assert f"{row.expires_at:%d %B %Y, %H:%M} UTC" in letter.body
    assert re.search(r"https://app\.example/join/inv_[\w-]{43}\?from=letter\n", letter.body)
    assert "POST" not in letter.body
    assert not re.search(r"[{}]", letter.body)


def test_without_a_page_the_letter_says_how_to_do_without(alice, settings):
    settings.PUBLIC_URL = "https://api.example/"

    ask(alice)

    assert "https://api.example/api/v1/invitations/inv_" in letters()[-1].body
    assert '{"password": "..."}' in letters()[-1].body


def test_a_page_without_a_place_for_the_token_is_named(settings):
    settings.ACCOUNTS_INVITATION_URL = "https://app.example/join"

    (error,) = check_pages(None)

    assert (error.id, "ACCOUNTS_INVITATION_URL" in error.msg) == ("accounts.E005", True)
    settings.ACCOUNTS_INVITATION_URL = "https://app.example/join/{token}"
    assert check_pages(None) == []


def test_the_token_is_in_the_letter_and_nowhere_else(alice, invitation, token, caplog):
    row = row_of(invitation)

    assert row.digest == digest_of(token)
    assert len(token) == len("inv_") + 43  # 256 bits in URL-safe base64
    for value in Invitation.objects.values().get().values():
        assert token not in str(value)
    answers = [alice.get(INVITATIONS), alice.get("/api/v1/organization")]
    change(invitation, sent_at=timezone.now() - timedelta(hours=1))
    answers.append(alice.post(f"{INVITATIONS}/{invitation['id']}/resend"))
    for answer in answers:
        assert "inv_" not in answer.content.decode()
        assert row.digest not in answer.content.decode()
    assert "inv_" not in str(list(AuditEvent.objects.values())) + caplog.text


def test_roles_that_may_invite(acme, globex):
    bob, vera, charlie = acme.client("bob"), acme.client("vera"), globex.client("charlie")

    for client in (bob, vera):
        refused(client.post(INVITATIONS, {"email": MARY, "role": "viewer"}), 403,
                "permission_denied")  # fmt: skip
        refused(client.get(INVITATIONS), 403, "permission_denied")
    assert ask(charlie)["email"] == MARY
    assert Invitation.objects.get().organization_id == globex.id


def test_an_owner_is_invited_by_owners_alone(acme, alice):
    Membership.objects.filter(user=acme.users["bob"]).update(role=Role.ADMIN)
    admin = acme.client("bob")
    by_alice = ask(alice, "second@example.com", "owner")
    path = f"{INVITATIONS}/{by_alice['id']}"

    for answer in (
        admin.post(INVITATIONS, {"email": MARY, "role": "owner"}),
        admin.delete(path),
        admin.post(f"{path}/resend"),
    ):
        assert "owners.manage" in refused(answer, 403, "permission_denied")["detail"]
    assert ask(admin, role="admin")["role"] == "admin"
    assert len(letters()) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "editor"}, "/email"),
        ({"email": MARY}, "/role"),
        ({"email": MARY, "role": "root"}, "/role"),
        ({"email": MARY, "role": ["admin"]}, "/role"),
        ({"email": MARY, "role": None}, "/role"),
        ({"email": MARY, "role": {"a": 1}}, "/role"),
        ({"email": MARY, "role": "x" * 60_000}, "/role"),
        ({"email": "mary", "role": "editor"}, "/email"),
        ({"email": "", "role": "editor"}, "/email"),
        ({"email": 7, "role": "editor"}, "/email"),
        ({"email": [MARY], "role": "editor"}, "/email"),
        ({"email": f"{'m' * 300}@example.com", "role": "editor"}, "/email"),
        ({"email": "m" * 60_000, "role": "editor"}, "/email"),
        ({"email": "mary\0@example.com", "role": "editor"}, "/email"),
        ({"email": "mary@example.com\nBcc: all@example.com", "role": "editor"}, "/email"),
        ({"email": MARY, "role": "editor", "rol": 1}, "/rol"),
    ],
)
def test_bad_input_is_pointed_at(alice, body, pointer):
    problem = refused(alice.post(INVITATIONS, body), 422, "validation_failed")

    assert pointers(problem) == [pointer]
    assert len(str(problem)) < 2_000
    assert not Invitation.objects.exists()
    assert letters() == []


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'"x"', b"{", b'{"email": "\xff"}'])
def test_bodies_that_are_no_objects(alice, raw):
    assert send(alice, "POST", INVITATIONS, raw).status_code in {400, 422}


def test_a_letter_that_cannot_be_sent_undoes_nothing(alice, monkeypatch):
    def fail(*_, **__):
        raise ValueError(MARY)

    monkeypatch.setattr("accounts.mail.send_mail", fail)

    assert ask(alice)["state"] == "open"
    assert letters() == []


def test_who_is_a_member_is_not_invited(acme, alice):
    problem = refused(
        alice.post(INVITATIONS, {"email": "BOB@example.com", "role": "admin"}),
        409, "already_exists",
    )  # fmt: skip

    assert pointers(problem) == ["/email"]
    assert roles_of("bob@example.com") == ["editor"]


def test_an_address_has_one_open_invitation(alice, globex, invitation):
    refused(alice.post(INVITATIONS, {"email": MARY, "role": "admin"}), 409, "already_exists")

    assert row_of(invitation).role == "editor"
    assert ask(globex.client("charlie"))["state"] == "open"  # another organization may


def test_an_expired_invitation_makes_room_for_a_new_one(alice, invitation):
    change(invitation, expires_at=timezone.now())

    again = ask(alice, role="viewer")

    states = {row["id"]: row["state"] for row in alice.get(INVITATIONS).json()["data"]}
    assert states == {invitation["id"]: "expired", again["id"]: "open"}


def test_open_invitations_are_bounded(acme, alice):
    now = timezone.now()
    Invitation.objects.bulk_create(
        Invitation(
            organization=acme.organization, email=f"p{number}@example.com", role="viewer",
            digest=str(number), sent_at=now, expires_at=now + timedelta(days=1),
        )
        for number in range(OPEN_MAX_INVITATIONS)
    )  # fmt: skip

    problem = refused(
        alice.post(INVITATIONS, {"email": MARY, "role": "viewer"}), 403, "plan_limit_reached"
    )

    assert (problem["limit"], problem["used"], problem["name"]) == (100, 100, "invitations")
    Invitation.objects.filter(digest="7").update(expires_at=now)
    ask(alice)


def test_invitations_of_a_day_are_bounded_whatever_is_revoked(alice, monkeypatch):
    monkeypatch.setattr("accounts.invitation_limits.MADE_MAX_A_DAY", 2)
    for number in range(2):
        made = ask(alice, f"p{number}@example.com")
        assert alice.delete(f"{INVITATIONS}/{made['id']}").status_code == 204

    answer = alice.post(INVITATIONS, {"email": MARY, "role": "viewer"})

    refused(answer, 429, "rate_limited")
    assert 86_000 < int(answer["Retry-After"]) <= 86_400
    Invitation.objects.update(created_at=F("created_at") - timedelta(days=1))
    ask(alice)


def test_a_call_that_is_repeated_with_its_id_finds_the_row(acme, alice):
    by, attempt = principal_of(acme, "alice"), Attempt.without_key()

    first = invite(by, MARY, Role.EDITOR, attempt=attempt)
    old = last_token()
    second = invite(by, MARY, Role.EDITOR, attempt=attempt)

    assert first.pk == second.pk == attempt.resource
    assert Invitation.objects.get().sent_count == len(letters()) == 2
    assert last_token() != old
    assert accept(last_token(), password=NEW_PASSWORD).status_code == 201
    assert invite(by, MARY, Role.EDITOR, attempt=attempt).accepted_at is not None
    assert len(letters()) == 2


# --- Listed, sent again, taken back -------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_give_each_exactly_once(alice, charlie, limit):
    made = [ask(alice, f"p{number}@example.com")["id"] for number in range(5)]
    ask(charlie)
    seen, cursor = [], None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = alice.get(INVITATIONS, query).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["page"]["next"]
        if cursor is None:
            break

    assert seen == made[::-1]


def test_a_cursor_is_good_for_its_own_list_only(alice, charlie):
    for number in range(2):
        ask(alice, f"p{number}@example.com")
    cursor = alice.get(INVITATIONS, {"limit": 1}).json()["page"]["next"]

    refused(charlie.get(INVITATIONS, {"cursor": cursor}), 400, "cursor_invalid")
    refused(alice.get(INVITATIONS, {"cursor": "x"}), 400, "cursor_invalid")
    refused(alice.get(INVITATIONS, {"limt": 1}), 400, "unknown_parameter")


def test_another_letter_kills_the_token_of_the_first(alice, invitation, token):
    hour_ago = timezone.now() - timedelta(hours=1)
    change(invitation, sent_at=hour_ago, expires_at=hour_ago)  # also when it has expired

    answer = alice.post(f"{INVITATIONS}/{invitation['id']}/resend")

    assert (answer.status_code, answer.json()["sent_count"]) == (200, 2)
    assert answer.json()["state"] == "open"
    refused(look(token), 404, "not_found")
    refused(accept(token, password=NEW_PASSWORD), 404, "not_found")
    assert look(last_token()).status_code == 200


def test_one_letter_a_minute(alice, invitation, token):
    answer = alice.post(f"{INVITATIONS}/{invitation['id']}/resend")

    refused(answer, 429, "rate_limited")
    assert 50 <= int(answer["Retry-After"]) <= 60
    assert len(letters()) == 1
    assert look(token).status_code == 200


def test_letters_to_an_address_are_bounded_whatever_is_revoked(alice, invitation):
    hour_ago = timezone.now() - timedelta(hours=1)
    change(invitation, sent_count=LETTERS_MAX_TO_AN_ADDRESS, sent_at=hour_ago)

    answer = alice.post(f"{INVITATIONS}/{invitation['id']}/resend")

    refused(answer, 429, "rate_limited")
    assert 6 * 86_400 < int(answer["Retry-After"]) < 7 * 86_400
    assert alice.delete(f"{INVITATIONS}/{invitation['id']}").status_code == 204
    refused(alice.post(INVITATIONS, {"email": MARY, "role": "viewer"}), 429, "rate_limited")
    assert len(letters()) == 1


def test_a_revoked_invitation_opens_nothing(alice, invitation, token):
    path = f"{INVITATIONS}/{invitation['id']}"

    assert alice.delete(path).status_code == 204

    refused(look(token), 410, "invitation_expired")
    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")
    assert alice.delete(path).status_code == 204
    refused(alice.post(f"{path}/resend"), 410, "invitation_expired")
    assert alice.get(INVITATIONS).json()["data"][0]["state"] == "revoked"
    assert ask(alice)["state"] == "open"


@pytest.mark.parametrize("given", ["x", "0", "00000000-0000-4000-8000-000000000000", "%00", "é"])
def test_invitations_that_are_not_there(alice, given):
    refused(alice.delete(f"{INVITATIONS}/{given}"), 404, "not_found")
    refused(alice.post(f"{INVITATIONS}/{given}/resend"), 404, "not_found")


def test_another_organization_knows_nothing_of_it(charlie, invitation, token):
    path = f"{INVITATIONS}/{invitation['id']}"

    refused(charlie.delete(path), 404, "not_found")
    refused(charlie.post(f"{path}/resend"), 404, "not_found")
    assert charlie.get(INVITATIONS).json()["data"] == []
    assert look(token).status_code == 200


def test_the_audit_names_ids_and_roles_and_no_address(acme, alice, invitation, token):
    change(invitation, sent_at=timezone.now() - timedelta(hours=1))
    alice.post(f"{INVITATIONS}/{invitation['id']}/resend")
    accept(last_token(), password=NEW_PASSWORD)
    other = ask(alice, "other@example.com", "viewer")
    alice.delete(f"{INVITATIONS}/{other['id']}")

    events = AuditEvent.objects.filter(
        organization=acme.organization, action__startswith="invitation."
    ).order_by("sequence")
    by_alice, mary = f"user:{acme.users['alice'].pk}", User.objects.get(email=MARY).pk
    editor = {"invitation": invitation["id"], "role": "editor"}
    viewer = {"invitation": other["id"], "role": "viewer"}
    assert list(events.values_list("action", "actor", "details")) == [
        ("invitation.created", by_alice, editor),
        ("invitation.resent", by_alice, editor),
        ("invitation.accepted", f"user:{mary}", editor),
        ("invitation.created", by_alice, viewer),
        ("invitation.revoked", by_alice, viewer),
    ]


def test_a_program_may_invite_as_long_as_its_key_holds(acme):
    scopes = [*scopes_of("editor"), "members.manage"]
    key = ApiKey.objects.create(
        organization=acme.organization, name="HR", role="admin", scopes=scopes,
        digest="x", created_by=ACTOR,
    )  # fmt: skip
    holder = KeyHolder(acme.id, "admin", scopes=frozenset(scopes), key_id=key.pk)

    made = invite(holder, MARY, Role.EDITOR)

    assert "An administrator invites you" in letters()[-1].body
    assert look(last_token()).status_code == 200
    assert made.invited_by is None
    for loss in ({"scopes": ["documents.read"]}, {"role": "editor"},
                 {"expires_at": timezone.now()}, {"revoked_at": timezone.now()}):  # fmt: skip
        ApiKey.objects.update(**{"role": "admin", "scopes": scopes, "expires_at": None} | loss)
        refused(look(last_token()), 410, "invitation_expired")
