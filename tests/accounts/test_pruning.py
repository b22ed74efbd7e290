"""What ended long ago is removed, by command and by the service; what may still matter stays."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, ManagementUtility, call_command
from django.utils import timezone

from accounts import pruning
from accounts.exceptions import RefreshReused
from accounts.login import sign_in
from accounts.models import Membership, RefreshToken, Session
from accounts.pruning import prune_sessions
from accounts.refreshing import refresh
from accounts.sessions import Device
from tenancy.management import worker
from tenancy.models import AuditEvent


def open_one(cast, who="alice"):
    membership = Membership.objects.get(user=cast.users[who])
    return sign_in(cast.users[who], membership, Device())


def ago(**delta):
    return timezone.now() - timedelta(**delta)


def test_sessions_that_ended_long_ago_go_with_their_tokens(acme):
    revoked, expired, recent, live = (open_one(acme).session.pk for _ in range(4))
    Session.objects.filter(pk=revoked).update(revoked_at=ago(days=31))
    Session.objects.filter(pk=expired).update(expires_at=ago(days=31))
    Session.objects.filter(pk=recent).update(revoked_at=ago(days=29))

    pruned = prune_sessions()

    assert pruned == 2
    assert set(Session.objects.values_list("pk", flat=True)) == {recent, live}
    assert RefreshToken.objects.count() == 2


def test_used_tokens_of_a_live_session_stay_so_that_whoever_shows_one_ends_it(acme):
    signed_in = open_one(acme)
    token = refresh(signed_in.refresh.token).refresh.token
    RefreshToken.objects.filter(used_at__isnull=False).update(used_at=ago(days=25))

    assert prune_sessions() == 0

    for shown in (signed_in.refresh.token, token):
        with pytest.raises(RefreshReused):
            refresh(shown)


def test_pruning_works_in_bounded_batches(acme, monkeypatch):
    monkeypatch.setattr(pruning, "BATCH_ROWS", 2)
    for _ in range(5):
        open_one(acme)
    Session.objects.update(revoked_at=ago(days=40))

    assert prune_sessions(max_batches=2) == 4
    assert prune_sessions() == 1


def test_service_prunes_by_itself(acme):
    open_one(acme)
    Session.objects.update(revoked_at=ago(days=40))

    worker.keep_house()

    assert not Session.objects.exists()


def test_one_part_that_fails_stops_no_other(acme, monkeypatch, caplog):
    open_one(acme)
    Session.objects.update(revoked_at=ago(days=40))

    def fail(*_, **__):
        raise RuntimeError("out of order")

    monkeypatch.setattr(worker, "prune_records", fail)
    worker.keep_house()
    monkeypatch.setattr(pruning, "prune_sessions", fail)
    worker.keep_house()

    assert not Session.objects.exists()
    assert "Housekeeping failed" in caplog.text


def test_command_says_what_it_removed(acme, capsys):
    open_one(acme)
    Session.objects.update(revoked_at=ago(days=2))

    call_command("prune_sessions", "--days", "3", "--json")
    assert json.loads(capsys.readouterr().out) == {"sessions": 0}
    call_command("prune_sessions", "--days", "1")

    assert "1 ended sessions removed." in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "99999999999"])
def test_command_refuses_odd_days(db, days):
    with pytest.raises(CommandError, match="0 to"):
        call_command("prune_sessions", f"--days={days}")


@pytest.mark.parametrize("days", ["-1", "x"])
def test_command_line_that_cannot_be_read_is_wrong_usage(days, capsys):
    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["manage.py", "prune_sessions", f"--days={days}"]).execute()

    assert ended.value.code == 2
    assert "a whole number from 0 to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--user", "Bob@Example.COM"], {"alice", "charlie"}),
        (["--organization", "acme"], {"charlie"}),
        (["--all"], set()),
    ],
)
def test_command_signs_people_out_and_leaves_a_trace(acme, globex, capsys, arguments, left):
    for cast, who in ((acme, "alice"), (acme, "bob"), (acme, "bob"), (globex, "charlie")):
        open_one(cast, who)

    call_command("revoke_sessions", *arguments, "--json")

    still_open = Session.objects.filter(revoked_at=None)
    assert {str(each.user.email).split("@")[0] for each in still_open} == left
    ended = json.loads(capsys.readouterr().out)["revoked"]
    events = AuditEvent.objects.filter(action="session.revoked")
    assert sum(event.details["sessions"] for event in events) == ended
    assert {event.actor for event in events} == {"command:revoke_sessions"}


def test_command_of_nobody_or_nothing_is_refused(db):
    with pytest.raises(CommandError, match="There is no user"):
        call_command("revoke_sessions", "--user", "nobody@example.com")
    with pytest.raises(CommandError, match="There is no organization"):
        call_command("revoke_sessions", "--organization", "nowhere")
    with pytest.raises(CommandError):
        call_command("revoke_sessions")
