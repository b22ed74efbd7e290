"""/metrics says what each cache does: of the process that answers, by its number."""

import os
import re

import pytest

from tenancy.caching import all_counts
from tests.tenancy.api.test_metrics import samples, scrape
from tests.test_architecture import ROOT, sources

TOKEN = "a-token-for-prometheus"
HERE = str(os.getpid())
ORGANIZATION = "/api/v1/organization"


@pytest.fixture(autouse=True)
def with_token(settings):
    settings.METRICS_TOKEN = TOKEN
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 60


def read(nobody):
    return samples(scrape(nobody, TOKEN))


def test_hits_and_misses_of_each_cache_are_told(alice, nobody):
    alice.get(ORGANIZATION)
    before = read(nobody)
    for _ in range(5):
        assert alice.get(ORGANIZATION).status_code == 200

    after = read(nobody)

    def added(figure, cache):
        name = (f"tenantry_cache_{figure}_total", cache, HERE)
        return after[name] - before[name]

    assert added("hits", "members") == 5
    assert added("hits", "tenants") >= 5
    assert added("misses", "members") == added("waits", "members") == 0
    assert after["tenantry_cache_entries", "members", HERE] == 1
    assert after["tenantry_cache_max_entries", "members", HERE] == 20_000


def test_every_cache_has_a_name_of_its_own_and_is_in_the_readme():
    text = "".join(path.read_text() for path in sources())
    names = re.findall(r"AgedCache\([^=]*max_entries=\w+, name=\"(\w+)\"", text)
    readme = (ROOT / "README.md").read_text()

    assert len(names) == len(set(names)) == len(re.findall(r"= AgedCache\(", text))
    assert set(names) <= set(all_counts())
    assert [name for name in names if f"`{name}`" not in readme] == []


def test_every_figure_is_in_the_readme(nobody, mongo):
    told = {name for name, *_ in read(nobody) if name.startswith("tenantry_cache_")}
    readme = (ROOT / "README.md").read_text()

    assert len(told) >= 6
    assert [name for name in sorted(told) if f"`{name}`" not in readme] == []
