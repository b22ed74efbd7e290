"""The rules of the house that a machine can check: arrows, sizes, names, one writer."""

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("config", "tenancy", "accounts", "benchmarks")
TOP_LEVEL = {
    "manage.py", "config", "tenancy", "accounts", "tests", "requirements", "README.md",
    "pyproject.toml", "Makefile", "CHANGELOG.md", "LICENSE", ".ci", ".gitignore",
    "benchmarks", "docs", "deploy",
}  # fmt: skip
UNSPECIFIC = {
    "utils", "helpers", "common", "core", "base", "services", "managers", "constants", "misc",
}  # fmt: skip
FUNCTION_MAX_LINES = 40
FUNCTION_MEDIAN_LINES = 8
SOURCE_MAX_LINES = 300
TEST_MAX_LINES = 500

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(*patterns: str) -> list[Path]:
    """Return the files that belong to the project."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def sources() -> list[Path]:
    files = tracked("*.py")
    inside = [path for path in files if path.relative_to(ROOT).parts[0] in SOURCES]
    return [path for path in inside if "migrations" not in path.parts]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def lines_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def named(path: Path, function: Function) -> str:
    return f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"


def test_arrows_point_down():
    """In a process of its own: it would switch off the loggers of this one."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_nothing_else_lies_at_the_top():
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}

    assert found <= TOP_LEVEL


def test_no_module_has_an_unspecific_name():
    assert [path for path in sources() if path.stem in UNSPECIFIC] == []


def test_no_module_is_empty():
    empty = [path for path in sources() if path.name != "__init__.py" and not path.read_text()]

    assert empty == []


def test_functions_are_short():
    found = [(lines_of(each), named(path, each)) for path in sources() for each in functions(path)]

    assert [name for lines, name in found if lines > FUNCTION_MAX_LINES] == []
    assert statistics.median(lines for lines, _ in found) <= FUNCTION_MEDIAN_LINES


@pytest.mark.parametrize("folder", [*SOURCES, "tests"])
def test_files_are_short(folder):
    limit = TEST_MAX_LINES if folder == "tests" else SOURCE_MAX_LINES
    files = [path for path in tracked(f"{folder}/**.py") if "migrations" not in path.parts]

    assert [path.name for path in files if len(path.read_text().splitlines()) > limit] == []


def test_booleans_are_given_by_keyword():
    """Except where Django calls the function, and the line says so."""
    found = []
    for path in sources():
        text = path.read_text().splitlines()
        for function in functions(path):
            if "noqa: FBT001" in "".join(text[function.lineno - 1 : function.body[0].lineno]):
                continue
            arguments = [*function.args.posonlyargs, *function.args.args]
            annotations = [ast.unparse(each.annotation) for each in arguments if each.annotation]
            if "bool" in annotations:
                found.append(named(path, function))

    assert found == []


def test_every_public_function_of_the_product_says_what_it_does():
    found = []
    for path in sources():
        for node in tree_of(path).body:
            is_public = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
            if is_public and not ast.get_docstring(node):
                found.append(f"{path.relative_to(ROOT)} {node.name}")

    assert found == []


# A write through the manager or the row itself: `Placement.objects...update(...)`, `.save(`.
WRITES = re.compile(
    r"\b(?:Organization|Placement|SlugReservation)(?:\.objects[\s\S]{0,200}?\.|\()"
    r"(?:update|create|bulk_create|bulk_update|get_or_create|update_or_create|delete)\("
)


def test_only_the_lifecycle_writes_status_and_placement():
    outside = [path for path in sources() if "lifecycle" not in path.parts]

    assert [path.name for path in outside if WRITES.search(path.read_text())] == []
    assert any(WRITES.search(path.read_text()) for path in sources() if "lifecycle" in path.parts)


def test_no_bare_except():
    bare = [
        path
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]

    assert bare == []
