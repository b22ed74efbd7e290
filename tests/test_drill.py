"""Renames and moves under load lose nothing: the drills of `make drill`, in a smaller size."""

import os

import pytest
from django.conf import settings

from benchmarks import move_drill
from benchmarks.drill_move_report import Bounds
from benchmarks.rename_drill import DrillConfig, run_drill
from tests.environment import SECOND_URI
from tests.processes import make_deployment

pytestmark = pytest.mark.xdist_group("service")

# What protocols wait for: what is tested is their order, not their length.
QUICK = {"TENANCY_OPERATION_TIMEOUT": "1.2", "TENANCY_CATALOG_TTL": "0.2"}


@pytest.fixture
def directory(tmp_path, mongo_client):
    """Where a drill has its service: its home has a migrated catalog already."""
    make_deployment(tmp_path / "home", mongo_client)
    return tmp_path


@pytest.mark.parametrize("naming", ["name", "id"])
def test_renames_under_load_lose_nothing(naming, directory):
    config = DrillConfig(
        naming=naming,
        writers=4,
        readers=2,
        renames=6,
        documents=2_000,
        mongodb_uri=settings.MONGODB_URI,
        directory=directory,
        settings=QUICK,
    )

    report = run_drill(config)

    assert report.ok, report.table()


def test_moves_through_every_kind_under_load_lose_nothing(directory):
    config = move_drill.MoveDrillConfig(
        writers=2,
        readers=2,
        documents=1_000,
        mongodb_uri=settings.MONGODB_URI,
        second_uri=os.environ[SECOND_URI],
        directory=directory,
        settings=QUICK,
        bounds=Bounds(longest_answer_seconds=3.0, copy_ratio_min=0.0),
    )

    report = move_drill.run_drill(config)

    assert report.ok, report.table()
    assert [move.route for move in report.moves] == [
        "shared -> collection", "collection -> database", "database -> cluster",
        "cluster -> shared",
    ]  # fmt: skip
