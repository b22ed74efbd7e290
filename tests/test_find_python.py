"""Of several Pythons on a machine, `make` takes the quickest."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

SCRIPT = settings.BASE_DIR / "requirements" / "find_python.py"


@pytest.fixture
def pythons(tmp_path):
    """Return what runs the script where PATH has these Pythons, each with the answer it gives."""

    def find(*answers):
        folders = []
        for number, answer in enumerate(answers):
            folder = tmp_path / str(number)
            folder.mkdir()
            fake = folder / "python3.11"
            fake.write_text(f"#!/bin/sh\n{answer}\n")
            fake.chmod(0o755)
            folders.append(str(folder))
        return subprocess.run(
            [sys.executable, SCRIPT],
            env={**os.environ, "PATH": ":".join([*folders, "/not/there"])},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return find


def test_the_quickest_is_chosen_and_it_says_so(pythons):
    made = pythons("echo 0.010 /first", "echo 0.007 /second", "echo 0.008 /third")

    assert (made.stdout, made.returncode) == ("/second\n", 0)
    assert "/second is used: it needs 30% less time than /first" in made.stderr


def test_the_first_in_path_is_taken_where_none_is_much_quicker(pythons):
    made = pythons("echo 0.010 /first", "echo 0.0095 /second")

    assert (made.stdout, made.stderr) == ("/first\n", "")


def test_one_that_has_two_names_is_found_once(pythons, tmp_path):
    (tmp_path / "real").write_text("")
    (tmp_path / "alias").symlink_to(tmp_path / "real")

    made = pythons(f"echo 0.010 {tmp_path}/real", f"echo 0.001 {tmp_path}/alias")

    assert (made.stdout, made.stderr) == (f"{tmp_path}/real\n", "")


def test_what_is_no_python_of_this_version_is_passed_over(pythons):
    made = pythons("exit 1", "echo Hello", "echo 0.010 /good")

    assert (made.stdout, made.stderr) == ("/good\n", "")


def test_without_any_there_is_no_answer(pythons):
    made = pythons("exit 1")

    assert (made.stdout, made.returncode) == ("", 1)


def test_this_python_is_one(tmp_path):
    (tmp_path / "python3.11").symlink_to(sys.executable)
    made = subprocess.run(
        [sys.executable, SCRIPT], env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (made.returncode, made.stderr) == (0, "")
    assert "python3" in made.stdout
