"""Every example of the API guide is run, in order, against a real service, and answers as it says.

A block of `bash` is a script; a block of `json`, `ndjson` or `text` after it is what it prints.
`…` stands for whatever differs from day to day: in the place of a value, within a text, or as the
rest of an object or list.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings

from benchmarks.local_processes import SERVE, free_port, start_server, stop_process

ROOT = Path(settings.BASE_DIR)
GUIDE = ROOT / "docs" / "api-guide.md"
SAMPLES = ROOT.parent / "shared" / "data"
MARK = "=-=-= example {} answered {} =-=-="
ANYTHING = "…"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.xdist_group("service"),
    pytest.mark.skipif(
        not SAMPLES.is_dir(), reason=f"the sample documents are not there: {SAMPLES}"
    ),
]


class Example(NamedTuple):
    """A script and what it prints; `kind` is that of the block, '' where nothing is promised."""

    script: str
    kind: str
    printed: str


def examples(text: str) -> list[Example]:
    found: list[Example] = []
    for kind, body in BLOCK.findall(text):
        if kind == "bash":
            found.append(Example(body, "", ""))
        elif kind in {"json", "ndjson", "text"} and found and not found[-1].kind:
            found[-1] = Example(found[-1].script, kind, body)
    return found


def matches(said: Any, is_so: Any) -> bool:
    """Return whether an answer is what the guide says of it."""
    if said == ANYTHING:
        return True
    if isinstance(said, dict) and isinstance(is_so, dict):
        named = {key: value for key, value in said.items() if key != ANYTHING}
        complete = ANYTHING in said or named.keys() == is_so.keys()
        return complete and all(
            key in is_so and matches(value, is_so[key]) for key, value in named.items()
        )
    if isinstance(said, list) and isinstance(is_so, list):
        if said[-1:] == [ANYTHING]:
            said = said[:-1]
            is_so = is_so[: len(said)]
        return len(said) == len(is_so) and all(map(matches, said, is_so))
    if isinstance(said, str) and isinstance(is_so, str) and ANYTHING in said:
        return re.fullmatch(".*".join(map(re.escape, said.split(ANYTHING))), is_so) is not None
    return type(said) is type(is_so) and bool(said == is_so)


def flaw_of(example: Example, printed: str) -> str:
    """Return how an example differs from what it prints, or ''."""
    if example.kind == "text":
        is_so = matches(example.printed.strip(), printed.strip())
    elif example.kind == "ndjson":
        said, lines = example.printed.strip().splitlines(), printed.strip().splitlines()
        is_so = matches([_line(each) for each in said], [_line(each) for each in lines])
    else:
        is_so = matches(json.loads(example.printed), json.loads(printed))
    return "" if is_so else f"{example.script}\nsays\n{example.printed}\nand prints\n{printed}"


def _line(text: str) -> Any:
    return ANYTHING if text == ANYTHING else json.loads(text)


def script_of(all_of_it: list[Example]) -> str:
    """Return one script: a shell that keeps its variables, with a mark behind every example."""
    parts = ["set -uo pipefail", "export LC_ALL=C.UTF-8"]
    for number, example in enumerate(all_of_it):
        refused = re.search(r'"status": 4\d\d', example.printed) is not None
        curl = "curl -sS" if refused else "curl -sS --fail-with-body"
        parts += [
            example.script.replace("curl -s", curl),
            f'echo; echo "{MARK.format(number, "$?")}"',
        ]
    return "\n".join(parts)


def run_all(all_of_it: list[Example], port: int, folder: Path) -> list[tuple[str, str]]:
    """Return what each example prints, and the status of its last command."""
    script = script_of(all_of_it).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=120,
        check=False, env={"PATH": "/usr/bin:/bin:/usr/local/bin", "SAMPLES": str(SAMPLES)},
    )  # fmt: skip
    pieces = re.split(MARK.format(r"\d+", r"(\d+)"), done.stdout)
    return list(zip(pieces[::2], pieces[1::2], strict=False))


def test_every_example_answers_what_the_guide_says(tmp_path):
    all_of_it, port = examples(GUIDE.read_text()), free_port()
    environment = {"TENANTRY_HOME": str(tmp_path / "home"), "PORT": str(port)}
    process = start_server(SERVE, environment, tmp_path / "serve.log")
    try:
        answers = run_all(all_of_it, port, tmp_path)
    finally:
        stop_process(process)

    assert len(answers) == len(all_of_it) >= 25
    for example, (printed, status) in zip(all_of_it, answers, strict=True):
        assert status == "0", f"{example.script}\nfailed:\n{printed}"
        if example.kind:
            assert not flaw_of(example, printed)


def test_a_difference_would_be_seen():
    assert matches({"a": 1, "…": "…"}, {"a": 1, "b": 2})
    assert matches(["r…", "…"], ["r1", 2, 3])
    assert not matches({"a": 1}, {"a": 1, "b": 2})
    assert not matches({"a": "…", "b": 1}, {"b": 1})
    assert not matches({"a": 1}, {"a": True})
    assert not matches([1], [1, 2])
    assert not matches("r…", "x1")
    assert flaw_of(Example("curl", "json", '{"a": 1}'), '{"a": 2}')
