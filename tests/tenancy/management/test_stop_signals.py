"""Signals that stop a service: one may come several times, and only who insists cuts people off."""

import signal
import time
from types import SimpleNamespace

import pytest

from tenancy.management import supervisor
from tenancy.management.supervisor import ONE_WISH_SECONDS, Supervisor
from tests.tenancy.management.test_serve import is_gone, serving, wait_until
from tests.tenancy.management.test_web_processes import begin_upload, linux

pytestmark = pytest.mark.xdist_group("web_processes")

# Nobody who is being served is cut off while a test lasts.
SETTINGS = {"TENANTRY_PROCESSES": "1", "TENANTRY_STOP_SECONDS": "600"}
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@linux
@pytest.mark.needs_mongod
def test_signals_that_come_at_once_cut_nobody_off(tmp_path):
    """As from `make`, which passes on what its whole group has."""
    with serving(tmp_path / "home", **SETTINGS) as service:
        upload, rest = begin_upload(service.port, service.sign_up())

        for number in (signal.SIGSTOP, INT, TERM, HUP, signal.SIGCONT):
            service.process.send_signal(number)  # it sees them when it goes on
        wait_until(lambda: "Stopping" in service.said, "it is stopping")
        service.process.send_signal(HUP)
        with upload:
            answer = upload.exchange(rest)

        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert service.ended_with() == 0, service.said


@linux
@pytest.mark.needs_mongod
def test_ctrl_c_stops_it_and_another_one_hurries(tmp_path):
    with serving(tmp_path / "home", **SETTINGS) as service:
        upload, _ = begin_upload(service.port, service.sign_up())
        processes = service.children()

        service.process.send_signal(INT)
        wait_until(lambda: "Stopping" in service.said, "it is stopping")
        time.sleep(ONE_WISH_SECONDS)  # from here on it is another wish, however late it comes
        service.process.send_signal(INT)

        with upload:
            assert service.ended_with() == 0, service.said
    assert all(is_gone(pid) for pid in processes)


@pytest.mark.parametrize(
    ("signals", "hurries"),
    [
        ([(TERM, 0.0)], False),
        ([(TERM, 0.0), (TERM, ONE_WISH_SECONDS - 0.1)], False),
        ([(INT, 0.0), (TERM, ONE_WISH_SECONDS - 0.1), (INT, 0.0)], False),
        ([(TERM, 0.0), (TERM, ONE_WISH_SECONDS)], True),
        ([(HUP, 0.0), (INT, 0.4), (INT, ONE_WISH_SECONDS)], True),
        ([(TERM, 0.0), (HUP, ONE_WISH_SECONDS * 9)], False),
    ],
)
def test_only_who_insists_hurries(signals, hurries, monkeypatch):
    now = 0.0
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: now))
    subject = Supervisor(say=print, check=lambda: None)

    for number, later in signals:
        now += later
        subject._on_signal(number, None)

    assert subject._stopping.is_set()
    assert subject._hurry.is_set() == hurries
