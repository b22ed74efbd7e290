"""How many processes and threads a machine is worth."""

import os

import pytest

from config import machine
from config.machine import Sizes, cores, memory_bytes, sizes


@pytest.fixture
def on(monkeypatch):
    """Return what makes this a machine of so many cores and so much memory."""

    def make(cores, mebibytes=65_536):
        monkeypatch.setattr(machine, "cores", lambda: cores)
        monkeypatch.setattr(machine, "memory_bytes", lambda: mebibytes * 1024**2)

    return make


def found(may_be_several=True, **given):
    unset = dict.fromkeys(("processes", "threads", "queue", "hashers"))
    return sizes(**{**unset, **given}, may_be_several=may_be_several)


def test_one_process_for_each_core_where_limits_are_counted_together(on):
    on(cores=6)

    assert found() == Sizes(processes=6, threads=8, queue=32, hashers=6)
    assert found(may_be_several=False) == Sizes(processes=1, threads=8, queue=32, hashers=6)


def test_memory_bounds_the_processes(on):
    on(cores=16, mebibytes=1_100)
    assert found().processes == 4

    on(cores=1, mebibytes=64)
    assert found() == Sizes(processes=1, threads=8, queue=32, hashers=2)


def test_what_is_given_is_used(on):
    on(cores=2)

    given = {"processes": 5, "threads": 3, "queue": 0, "hashers": 1}
    assert found(may_be_several=False, **given) == Sizes(**given)
    assert found(threads=2).queue == 8


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000"}, 4),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "20000 100000"}, 1),
        ({"cpu.max": "900000 100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2),
    ],
)
def test_cores_are_what_affinity_and_cgroup_leave(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    write(tmp_path, files)

    assert cores(tmp_path) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "1048576"}, 1_048_576),
        ({"memory/memory.limit_in_bytes": "2097152"}, 2_097_152),
    ],
)
def test_memory_is_what_the_cgroup_leaves(tmp_path, files, expected):
    write(tmp_path, files)

    assert memory_bytes(tmp_path) == expected
    assert memory_bytes(tmp_path / "nowhere") > expected


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text + "\n")
