"""Documents leave as a directory and come back from files."""

import gzip
import hashlib
import json

import pytest

from tenancy import lifecycle
from tenancy.exceptions import QueryTimeout
from tenancy.mongo.exporting import Snapshot
from tests.tenancy.management.test_commands import run, run_json

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod,
    pytest.mark.usefixtures("quick"),
]  # fmt: skip

BY = "command:test"


@pytest.fixture
def patron(mongo):
    return lifecycle.create_organization("Acme", by=BY)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "in.ndjson"
    path.write_bytes(b"".join(b'{"_id": %d, "text": "t"}\n' % number for number in range(2_500)))
    return path


def test_an_organization_is_written_and_read_back(patron, file, tmp_path):
    run("import_documents", "acme", "main", str(file))
    run("import_documents", "acme", "other", str(file))

    manifest = run_json("export_organization", "acme", "--output", str(tmp_path / "out"), "--gzip")
    written = tmp_path / "out"
    back = run_json("import_documents", "acme", "copy", str(written / "main.ndjson.gz"))

    assert json.loads((written / "manifest.json").read_text()) == manifest
    assert sorted(path.name for path in written.iterdir()) == [
        "main.ndjson.gz", "manifest.json", "other.ndjson.gz",
    ]  # fmt: skip
    part = manifest["collections"][0]
    *lines, footer = gzip.decompress((written / part["file"]).read_bytes()).splitlines(True)
    assert part["count"] == len(lines) == json.loads(footer)["_export"]["count"] == 2_500
    assert part["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert (back["inserted"], back["skipped"], back["complete"]) == (2_500, 1, True)


def test_nothing_is_overwritten_but_an_export_on_request(patron, tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    run("export_organization", "acme", "--output", str(out))

    again = run("export_organization", "acme", "--output", str(out))
    forced = run("export_organization", "acme", "--output", str(out), "--force")
    other = run("export_organization", "acme", "--output", str(precious), "--force")

    assert (again.code, forced.code, other.code) == (1, 0, 1)
    assert "--force" in again.failure
    assert (precious / "thesis.txt").exists()


def test_an_export_that_breaks_off_leaves_nothing_behind(patron, file, tmp_path, monkeypatch):
    run("import_documents", "acme", "main", str(file))
    read, calls = Snapshot.read_some, []

    def read_once(self):
        calls.append(self)
        if len(calls) > 1:
            raise QueryTimeout("It took too long.")
        return read(self)

    monkeypatch.setattr(Snapshot, "read_some", read_once)
    done = run("export_organization", "acme", "--output", str(tmp_path / "out"))

    assert (done.code, done.failure) == (1, "It took too long.")
    assert [path.name for path in tmp_path.iterdir()] == ["in.ndjson"]


def test_a_repeated_import_stores_nothing_twice_and_says_so(patron, tmp_path):
    file = tmp_path / "plain.ndjson"
    file.write_bytes(b'{"n": 1}\n{"n": 2}\n')

    first = run("import_documents", "acme", "main", str(file))
    again = run("import_documents", "acme", "main", str(file))
    other = run("import_documents", "acme", "main", str(file), "--key", "once more")

    assert (first.code, again.code, other.code) == (0, 0, 0)
    assert "2 inserted" in first.text
    assert "Imported already: nothing new was stored." in again.text
    assert "--key NEW" in again.text
    lines = run_json("export_organization", "acme", "--output", str(tmp_path / "out"))
    assert lines["collections"][0]["count"] == 4


def test_after_a_stop_the_same_command_goes_on_with_the_mended_file(patron, tmp_path):
    file = tmp_path / "mended.ndjson"
    file.write_bytes(b'{"n": 1}\n{"a.b": 1}\n{"n": 3}\nno\n')
    arguments = ("import_documents", "acme", "main", str(file))

    stopped = run(*arguments)
    key = run_json(*arguments)["key"]
    file.write_bytes(b'{"n": 1}\n{"n": 2}\n{"n": 3}\nno\n')
    skipped = run(*arguments, "--on-error", "skip")
    file.write_bytes(b'{"n": 7}\n{"n": 2}\n{"n": 3}\nno\n')
    others = run(*arguments)

    assert f"its --key is {key}" in stopped.failure
    assert "--on-error skip" in stopped.failure
    assert (skipped.code, "3 inserted, 0 replaced, 1 failed" in skipped.text) == (1, True)
    assert others.code == 1
    assert "are not those of the file any more" in others.failure
    assert "another --key" in others.failure
    lines = run_json("export_organization", "acme", "--output", str(tmp_path / "out"))
    assert lines["collections"][0]["count"] == 3


def test_what_is_wrong_with_a_file_is_said_of_a_file(patron, tmp_path):
    file = tmp_path / "cut.ndjson"
    file.write_bytes(b'{"n": 1}\n{"n": ')

    done = run("import_documents", "acme", "main", str(file))

    assert (done.code, "The file ends within line 2" in done.failure) == (1, True)


def test_lines_that_fail_are_printed_and_the_command_fails(patron, tmp_path):
    file = tmp_path / "bad.ndjson"
    file.write_bytes(b'{"_id": 1}\n{"a.b": 1}\n{"_id": 2}\n')

    stopped = run("import_documents", "acme", "main", str(file))
    skipped = run("import_documents", "acme", "main", str(file), "--on-error", "skip", "--key", "b")

    assert stopped.code == skipped.code == 1
    assert "Line 2 cannot be stored" in stopped.failure
    assert "line 2: invalid_document" in stopped.text
    assert "/a.b" in skipped.text
    assert "1 inserted, 0 replaced, 2 failed" in skipped.text


REFUSED = [
    (["import_documents", "acne", "main", "FILE"], 1, "Did you mean “acme”?"),
    (["import_documents", "acme", "main", "nowhere.ndjson"], 2, "nowhere.ndjson cannot be read"),
    (["import_documents", "acme", "main", "/"], 2, "/ cannot be read"),
    (["import_documents", "acme", "Not A Name", "FILE"], 2, "collection"),
    (["export_organization", "acne", "--output", "OUT"], 1, "Did you mean “acme”?"),
    (["export_organization", "acme", "--output", "OUT", "--collection", "mian"], 1, "“main”"),
    (["export_organization", "acme", "--output", "FILE/below"], 1, "cannot be written"),
]


def test_what_cannot_be_done_is_said_in_one_sentence(patron, file, tmp_path):
    names = {"FILE": str(file), "OUT": str(tmp_path / "out"), "FILE/below": str(file / "below")}

    for arguments, code, said in REFUSED:
        done = run(*[names.get(argument, argument) for argument in arguments])

        assert done.code == code, arguments
        assert said in done.failure
        assert not (tmp_path / "out").exists()
