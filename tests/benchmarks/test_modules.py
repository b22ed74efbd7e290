"""Benchmarks import each other: what one of them renames is still there for the others."""

import importlib
from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(benchmarks.__file__).parent
# It changes the process that imports it, and is for a server of the benchmark alone.
CHANGING = {"profiled_wsgi", "__init__"}
MODULES = sorted({path.stem for path in FOLDER.glob("*.py")} - CHANGING)


@pytest.mark.parametrize("name", MODULES)
def test_every_benchmark_can_be_imported(name):
    assert importlib.import_module(f"benchmarks.{name}").__doc__
