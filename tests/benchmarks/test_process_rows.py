"""A second process is measured where each has a share of a core to itself, or without a bar."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import core_shares, process_rows
from benchmarks.comparison import Pace
from benchmarks.core_shares import SharesUnavailable, limited
from benchmarks.figures import NO_BAR


@pytest.fixture
def pid():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.stdin.close()


def group_of(pid):
    return Path(f"/proc/{pid}/cgroup").read_text()


def test_a_process_has_a_group_with_its_share_for_a_while(pid):
    before = group_of(pid)
    try:
        with limited([pid], 0.25) as (group,):
            inside = group_of(pid)
            shares = [*group.glob("cpu.cfs_quota_us"), *group.glob("cpu.max")]
            share = shares[0].read_text().split()[0]
    except SharesUnavailable as error:
        pytest.skip(str(error))

    assert f"tenantry-bench-{pid}" in inside
    assert share == "2500"
    assert group_of(pid) == before
    assert not group.exists()


def test_who_may_not_limit_processes_is_told(pid, monkeypatch, tmp_path):
    monkeypatch.setattr(core_shares, "GROUPS", tmp_path / "none")

    with pytest.raises(SharesUnavailable, match="no group"), limited([pid], 0.25):
        pytest.fail("it is not limited")


def test_a_folder_without_the_controller_limits_nobody_and_is_left_as_it_was(
    pid, monkeypatch, tmp_path
):
    monkeypatch.setattr(core_shares, "GROUPS", tmp_path)

    with pytest.raises(SharesUnavailable, match=r"cpu\.max"), limited([pid], 0.25):
        pytest.fail("it is not limited")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "share"), [(0, 0.5), (1, 0.05), (1, -0.4)])
def test_what_is_no_share_is_refused(pid, count, share):
    with pytest.raises(SharesUnavailable, match="cannot have"), limited([pid][:count], share):
        pytest.fail("it is not limited")


@pytest.fixture
def measured(monkeypatch):
    """Put what is measured in place of measuring; return how it was asked for."""
    asked = []

    def run(wanted):
        asked.append(wanted)
        if wanted.share and not can_limit:
            raise SharesUnavailable("no groups")
        parts = {"server": 0.8, "mongod": 0.2, "client": 0.1, "spread": [1.7, 2.1]}
        one = {"route": "list 100", "ratio": 1.0, "rate": 100.0, **parts}
        return [one, {**one, "ratio": 1.9, "rate": 190.0}]

    can_limit = True
    monkeypatch.setattr(process_rows, "run", run)

    def without_limits():
        nonlocal can_limit
        can_limit = False

    return asked, without_limits


def test_two_processes_have_a_bar_where_each_has_its_share(measured):
    (row,) = process_rows.second_process(Pace(rounds=6, seconds=2.0), pytest.fail)

    assert (row.value, row.spread, row.bar.at_least) == (1.9, (1.7, 2.1), 1.6)
    assert (row.absolutes["per second"], row.absolutes["one"]) == (190.0, 100.0)
    assert row.absolutes["cores"] == "0.4 each"
    (asked,) = measured[0]
    assert (asked.seconds, asked.rounds, asked.share) == (2.0, 3, 0.4)


def test_without_shares_the_machine_has_no_bar(measured):
    measured[1]()
    said = []

    (row,) = process_rows.second_process(Pace(), said.append)

    assert row.bar == NO_BAR
    assert row.absolutes["cores"] == "shared"
    assert "no groups" in said[0]
