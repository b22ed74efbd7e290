"""`make fuzz` passes only when everything was sent and nothing was held against the service."""

import json

import pytest

from benchmarks.fuzz_report import LINE_MAX, Report

READ, WRITE = "GET /things", "POST /things"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "output").write_text("")
    return tmp_path


def count(folder, operation, sent=2, failed=0, phase="fuzzing", answers=None, *, is_done=True):
    line = {
        "operation": operation, "phase": phase, "sent": sent, "failed": failed,
        "answers": answers or {"200": sent}, "is_done": is_done,
    }  # fmt: skip
    with (folder / "counts").open("a") as file:
        file.write(json.dumps(line) + "\n")


def finish(folder, status=0):
    report = Report([READ, WRITE], 2)
    report.begin([READ, WRITE])
    report.read([folder])
    report.end(folder, status)
    return report.finish(seed=7)


def test_it_passes_when_each_was_sent_enough_and_nothing_failed(folder, capsys):
    count(folder, READ, sent=3)
    count(folder, WRITE, sent=1, phase="coverage")
    count(folder, WRITE, sent=1)

    assert finish(folder) == 0
    assert "Seed 7: 2 operations x at least 2 examples = 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flaw",
    [{"sent": 1}, {"failed": 1}, {"is_done": False}],
    ids=["too few", "failed", "not to the end"],
)
def test_it_fails_and_names_the_operation(folder, capsys, flaw):
    count(folder, READ)
    count(folder, WRITE, **flaw)

    assert finish(folder) == 1
    assert f": {WRITE}." in capsys.readouterr().out


def test_it_fails_when_an_operation_was_never_sent(folder):
    count(folder, READ)

    assert finish(folder) == 1


def test_it_fails_with_what_schemathesis_says_when_that_fails(folder, capsys):
    count(folder, READ)
    count(folder, WRITE)
    (folder / "output").write_text(f"dots\n=== FAILURES ===\n{'x' * 5_000}\n=== SUMMARY ===\nsums")

    assert finish(folder, status=1) == 1
    printed = capsys.readouterr().out
    assert "x" * LINE_MAX in printed
    assert "x" * (LINE_MAX + 1) not in printed
    assert "dots" not in printed
    assert "sums" not in printed


def test_what_was_never_served_is_named_but_does_not_fail(folder, capsys):
    count(folder, READ, answers={"404": 2})
    count(folder, WRITE)

    assert finish(folder) == 0
    assert f"Nothing was served (of no consequence for the exit status): {READ}." in (
        capsys.readouterr().out
    )


def test_what_could_not_be_made_up_is_lacking_until_it_was_with_another_seed(folder, tmp_path):
    count(folder, READ)
    count(folder, WRITE, is_done=False)
    report = Report([READ, WRITE], 2)
    report.read([folder])
    report.end(folder, 1)
    lacking = report.lacking
    (again := tmp_path / "again").mkdir()
    count(again, WRITE)

    report.begin(lacking)
    report.read([again])
    report.end(again, 0)

    assert lacking == [WRITE]
    assert report.finish(seed=7) == 0
