"""Many refreshes of one token at once, in a process of the product: for whatever catalog it has."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.contrib.auth.hashers import make_password
from django.db import connection
from django.utils import timezone

from accounts import refresh_tokens
from accounts.exceptions import AccountsError
from accounts.login import sign_in
from accounts.memberships import add_member
from accounts.models import RefreshToken, User
from accounts.refreshing import refresh
from accounts.roles import Role
from accounts.sessions import Device
from tenancy import lifecycle
from tests.patience import wait_long_for_locks

THREADS = 32


def make_session():
    """Return the membership and the first refresh token of a session."""
    owner = User.objects.create(email="race@example.com", password=make_password(None))
    lifecycle.create_organization(
        "Race", by="command:test", on_reserve=lambda row: add_member(owner, row, Role.OWNER)
    )
    signed_in = sign_in(owner, owner.memberships.get(), Device())
    return signed_in.session, signed_in.refresh.token


class Racers:
    """Threads that stay, each with its connection to the catalog, released together each round."""

    def __init__(self):
        self._barrier = threading.Barrier(THREADS)
        self._pool = ThreadPoolExecutor(THREADS)

    def refresh(self, token):
        """Return what each thread gets for one token."""
        return [
            each.result(60)
            for each in [self._pool.submit(self._run, token) for _ in range(THREADS)]
        ]

    def _run(self, token):
        self._barrier.wait(60)
        try:
            return refresh(token).refresh.token
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test shows it
            return f"{type(error).__name__}: {error}"

    def close(self):
        """End the threads and their connections."""
        for each in [self._pool.submit(self._close) for _ in range(THREADS)]:
            each.result(60)
        self._pool.shutdown()

    def _close(self):
        self._barrier.wait(60)
        connection.close()


def code_of(token):
    """Return the code of the refusal of a token, or "good"."""
    try:
        refresh(token)
    except AccountsError as error:
        return error.code
    return "good"


def run(rounds):
    """Return, as JSON, what came of so many rounds and of a reuse after the window."""
    wait_long_for_locks()
    session, token = make_session()
    counts, first, racers = [], token, Racers()
    for number in range(rounds):
        answers = racers.refresh(token)
        counts.append([len(answers), len(set(answers))])
        rows = RefreshToken.objects.filter(session=session).count()
        if len(set(answers)) != 1 or not answers[0].startswith(refresh_tokens.PREFIX):
            sys.exit(f"round {number}: {sorted(set(answers))}")
        assert rows == number + 2, rows
        token = answers[0]
    racers.close()
    late = timezone.now() - timedelta(seconds=refresh_tokens.REPEAT_SECONDS + 1)
    RefreshToken.objects.filter(pk=refresh_tokens.digest_of(first)).update(used_at=late)
    reused, successor = code_of(first), code_of(token)
    session.refresh_from_db()
    return json.dumps(
        {
            "rounds": len(counts),
            "threads": counts[0][0],
            "successors": sum(distinct for _, distinct in counts),
            "reused": reused,
            "successor": successor,
            "revoked_for": session.revoked_for,
        }
    )
