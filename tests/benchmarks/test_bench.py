"""The benchmark runs by itself, against a real service, and says what it found."""

import json
import os
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from django.conf import settings

from benchmarks import bench
from benchmarks.figures import Figure
from benchmarks.load_process import LoadFailed

pytestmark = [pytest.mark.xdist_group("bench"), pytest.mark.needs_mongod, pytest.mark.once]
ONLY = ("read", "replace", "bulk", "login", "storm", "timing", "profile")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Measure some rows as shortly as can be; return the exit status, the file and the table."""
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "OUTPUT", file)
        patch.setattr("builtins.print", lambda text, **_: said.append(text))
        status = bench.main(["--only", *ONLY, "--rounds", "1", "--seconds", "0.3"])
    return status, json.loads(file.read_text()), "\n".join(said)


def figures_of(run):
    return {each["row"]: each for each in run[1]["figures"]}


def test_every_row_is_measured_and_printed(run):
    _, found, table = run

    assert found["failures"] == {}
    assert len(found["figures"]) >= len(ONLY) + 2  # CPU of reads, and memory twice
    for each in found["figures"]:
        assert each["value"] > 0
        assert each["row"] in table


def test_exit_status_says_whether_a_bar_was_missed(run):
    status, found, table = run

    assert found["missed"] == [each["row"] for each in found["figures"] if each["missed"]]
    assert status == (1 if found["missed"] else 0)
    assert table.count("MISSED") == len(found["missed"])


def test_file_says_what_it_was_measured_on(run):
    machine = run[1]["machine"]

    assert {"cores", "python", "mongod", "granian", "load", "busy", "stolen"} <= set(machine)


def test_cpu_of_the_server_is_counted(run):
    read = figures_of(run)["read by id"]["absolutes"]

    assert read["server us"] > read["client us"] > 0


def test_profile_says_where_the_cpu_of_each_request_goes(run):
    _, found, table = run

    for name, parts in found["profile"].items():
        assert name in table
        assert parts["server"] > 0
        assert parts["view"] > 0
        assert parts["authentication"] > 0
        assert parts["all"] == pytest.approx(sum(parts.values()) - parts["all"], abs=1)
    assert found["profile"]["read by id"]["driver"] > 0


def test_few_who_sign_in_are_served_and_many_are_refused(run):
    figures = figures_of(run)
    few, many = (figures[f"reads beside {loops} loops of sign-ins"] for loops in (2, 16))

    assert few["absolutes"]["refused"] == 0
    assert few["absolutes"]["sign-ins"] > 0
    assert many["absolutes"]["refused"] > 0


def test_row_that_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def fail(stage, pace):
        raise LoadFailed("Answered 500.")

    stage = SimpleNamespace(uri=settings.MONGODB_URI, workers=[os.getpid()])
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench.json")
    monkeypatch.setattr(bench, "running_stage", lambda: nullcontext(stage))
    monkeypatch.setattr(bench, "ROWS", {"broken": fail, "fine": lambda *_: [Figure("fine", 1.0)]})

    assert bench.main(["--only", "broken", "fine", "--json"]) == 1

    found = json.loads(capsys.readouterr().out)
    assert found["failures"] == {"broken": "LoadFailed: Answered 500."}
    assert "fine" in [each["row"] for each in found["figures"]]
