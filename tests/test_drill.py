"""Renames under load lose nothing: the drill of `make drill`, in a smaller size."""

import pytest
from django.conf import settings

from benchmarks.rename_drill import DrillConfig, run_drill

pytestmark = pytest.mark.xdist_group("service")


@pytest.mark.parametrize("naming", ["name", "id"])
def test_renames_under_load_lose_nothing(naming, tmp_path):
    config = DrillConfig(
        naming=naming,
        writers=4,
        readers=2,
        renames=6,
        documents=2_000,
        mongodb_uri=settings.MONGODB_URI,
        directory=tmp_path,
    )

    report = run_drill(config)

    assert report.ok, report.table()
