"""Growth is measured, kept and drawn: what lies in docs is what the scripts make of the figures."""

import argparse
import io
import itertools
import json
import re

import pytest
from rich.console import Console

from benchmarks import growth, growth_stage, growth_tables, plots
from tenancy.names import KINDS

RESULTS = json.loads(growth.RESULTS.read_text())

pytestmark = pytest.mark.once


def figure(kind="shared", tenants=10, **more):
    times = dict.fromkeys(("create_p50_ms", "warm_p50_ms", "cold_p50_ms", "doctor_s"), 1.0)
    sizes = {"mongod_mib": 1, "mongod_open_files": 1, "servers": 1}
    return {"kind": kind, "tenants": tenants, **times, **sizes, **more}


def test_plots_in_docs_are_what_the_script_makes_of_the_figures():
    drawn = {path.name: path.read_text() for path in plots.FOLDER.glob("*.svg")}

    assert drawn == plots.draw_all(RESULTS)


def test_tables_and_points_are_what_the_script_makes_of_the_figures():
    text = growth_tables.SCALING.read_text()

    assert text == growth_tables.with_tables(text, RESULTS)
    assert growth_tables.POINTS.read_text() == growth_tables.points_module(RESULTS)
    assert set(re.findall(r"growth:(\w+) times", text)) == set(KINDS)


def test_every_plot_is_shown_in_the_docs():
    shown = re.findall(r"\(measurements/([\w-]+\.svg)\)", growth_tables.SCALING.read_text())

    assert sorted(shown) == sorted(plots.draw_all(RESULTS))


def test_figures_name_no_machine():
    assert set(RESULTS["machine"]) == {"date", "cores", "memory_gib", "open_files_limit", "system",
                                       "mongod", "python", "django", "pymongo"}  # fmt: skip
    assert "/" not in json.dumps(RESULTS["figures"])


def test_a_plot_has_a_line_and_a_label_of_each_kind_and_takes_light_and_dark():
    figures = [figure("shared", 10, x=1.0), figure("shared", 1_000, x=2.0),
               figure("database", 10, x=30.0), figure("collection", 10)]  # fmt: skip

    drawn = plots.draw(figures, "x", "What <it> costs", "ms")

    assert drawn.count("<polyline") == 2
    assert ">shared</text>" in drawn
    assert ">database</text>" in drawn
    assert ">collection</text>" not in drawn
    assert "What &lt;it&gt; costs, ms" in drawn
    assert "prefers-color-scheme: dark" in drawn


def test_a_line_is_dashed_from_where_a_further_server_was_added():
    figures = [figure("collection", 10, x=1.0), figure("collection", 9_600, x=2.0),
               figure("collection", 10_000, x=1.0, servers=2)]  # fmt: skip

    drawn = plots.draw(figures, "x", "Title", "ms")

    whole, dashed = re.findall(r'<polyline class="([\w ]+)" points="([^"]+)"', drawn)
    assert (whole[0], dashed[0]) == ("collection", "collection more")
    assert dashed[1].startswith(whole[1].split()[1])  # where the other one ends
    assert "10,000 on 2 servers: 1.0" in drawn


def test_labels_cover_neither_each_other_nor_the_axis():
    places = plots.spread({"a": 340.0, "b": 341.0, "c": 342.0, "d": 20.0})

    ordered = sorted(places.values())
    assert all(b - a >= plots.LABEL_GAP for a, b in itertools.pairwise(ordered))
    assert ordered[-1] <= plots.HEIGHT - plots.BOTTOM


def test_results_are_kept_as_they_come_and_replace_earlier_ones(tmp_path):
    path = tmp_path / "deep" / "growth.json"
    for each in (figure("collection"), figure(tenants=100), figure(), figure(doctor_s=9.0)):
        growth.Results(path).put(each)

    kept = growth.Results(path)
    assert [(each["kind"], each["tenants"]) for each in kept.figures] == [
        ("shared", 10), ("shared", 100), ("collection", 10),
    ]  # fmt: skip
    assert kept.figures[0]["doctor_s"] == 9.0


def test_an_interrupted_run_keeps_what_it_has_and_resumes_with_the_rest(tmp_path, monkeypatch):
    asked, results = [], growth.Results(tmp_path / "growth.json")
    options = argparse.Namespace(max=1_000, resume=True, minutes=1.0)

    def stage(kind, sizes, skip, seconds):
        asked.append((list(sizes), list(skip)))
        for size in sizes:
            if size not in skip:
                yield {"doing": "it", "done": size}
                yield {"found": figure(kind, size)}
                if len(asked) == 1:
                    raise KeyboardInterrupt

    monkeypatch.setattr(growth, "stage", stage)
    with pytest.raises(KeyboardInterrupt):
        growth.run("shared", options, results, Console(file=io.StringIO()))
    for _ in range(2):
        growth.run("shared", options, results, Console(file=io.StringIO()))

    assert asked == [([10, 100, 1_000], []), ([10, 100, 1_000], [10])]
    assert results.sizes_of("shared") == [10, 100, 1_000]


def test_a_kind_that_is_measured_anew_keeps_no_figures_of_before(tmp_path, monkeypatch):
    path = tmp_path / "growth.json"
    before = growth.Results(path)
    for each in (figure(tenants=8_600), figure("collection", 8_600)):
        before.put(each)
    before.end("shared", "Ended at 8,600.")

    def stage(kind, sizes, skip, seconds):
        yield {"found": figure(kind, 10)}
        raise KeyboardInterrupt

    monkeypatch.setattr(growth, "stage", stage)
    options = argparse.Namespace(max=1_000, resume=False, minutes=1.0)
    with pytest.raises(KeyboardInterrupt):
        growth.run("shared", options, growth.Results(path), Console(file=io.StringIO()))

    kept = growth.Results(path)
    assert (kept.sizes_of("shared"), kept.sizes_of("collection")) == ([10], [8_600])
    assert kept.ends == {}


def test_figures_of_before_stay_until_there_is_a_new_one(tmp_path, monkeypatch):
    path = tmp_path / "growth.json"
    growth.Results(path).put(figure())

    def stage(kind, sizes, skip, seconds):
        raise SystemExit("Measuring failed.")
        yield

    monkeypatch.setattr(growth, "stage", stage)
    options = argparse.Namespace(max=1_000, resume=False, minutes=1.0)
    with pytest.raises(SystemExit):
        growth.run("shared", options, growth.Results(path), Console(file=io.StringIO()))

    assert growth.Results(path).sizes_of("shared") == [10]


def test_a_table_has_no_column_in_which_nothing_was_measured():
    measured = {"doctor_cpu_s": 1, "data_files": 1, "data_mib": 1, "catalog_mib": 1, "start_s": 2.0}
    results = {"figures": [figure(tenants=10, **measured),
                           figure(tenants=100, stop_s=1.5, **measured)]}  # fmt: skip

    head, _, *rows = growth_tables.table_of(results, "shared", "sizes").splitlines()

    assert "web process" not in head
    assert "after kill" not in head
    assert "| stop, s | start, s (CPU) |" in head
    assert [row.split(" | ")[3:5] for row in rows] == [["-", "2.0 (-)"], ["1.5", "2.0 (-)"]]


class Grown:
    """A population that costs nothing."""

    def __init__(self, more_servers=0):
        self.tenants, self.servers, self.more_servers = 0, [1], more_servers

    def add_server(self):
        self.servers.append(1)
        return len(self.servers) <= self.more_servers + 1

    def grow(self, size, seconds):
        self.tenants = size
        return {"create_p50_ms": 1.0}

    def measure(self):
        yield {"warm_p50_ms": 2.0}


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_kind_ends_where_the_product_refuses_more(monkeypatch, capsys):
    grown = Grown()
    monkeypatch.setattr(growth_stage, "room_for", lambda kind: (650 - grown.tenants, "full"))
    options = argparse.Namespace(kind="collection", sizes=[10, 100, 1_000, 5_000],
                                 seconds=60.0, skip=[10])  # fmt: skip

    growth_stage.run(options, grown)

    told = said(capsys)
    assert [each["found"]["tenants"] for each in told if "found" in each] == [100, 500]
    assert told[-1]["stopped"] == "Ended at 500: the product refuses 1,000 (cluster_full); full."


def test_a_kind_goes_on_with_one_more_server_where_the_first_is_full(monkeypatch, capsys):
    grown = Grown(more_servers=2)
    monkeypatch.setattr(
        growth_stage, "room_for", lambda kind: (650 * len(grown.servers) - grown.tenants, "full")
    )
    options = argparse.Namespace(kind="collection", sizes=[100, 1_000, 1_700],
                                 seconds=60.0, skip=[])  # fmt: skip

    growth_stage.run(options, grown)

    found = [each["found"] for each in said(capsys) if "found" in each]
    assert [(each["tenants"], each["servers"]) for each in found] == [
        (100, 1), (500, 1), (1_000, 2), (1_700, 3),
    ]  # fmt: skip


def test_a_kind_ends_with_its_time(monkeypatch, capsys):
    monkeypatch.setattr(growth_stage, "room_for", lambda kind: (10**9, ""))
    options = argparse.Namespace(kind="shared", sizes=[10], seconds=-1.0, skip=[])

    growth_stage.run(options, Grown())

    assert said(capsys)[-1] == {"stopped": "10 were not reached in -1 s.", "size": 10}


@pytest.mark.django_db(transaction=True)
@pytest.mark.needs_mongod
def test_room_is_what_the_product_would_still_take(mongo, settings):
    settings.TENANCY_CLUSTER_CEILING = 1
    assert growth_stage.room_for("collection")[0] == 0

    settings.TENANCY_CLUSTER_CEILING = 1_000
    room, full = growth_stage.room_for("database")
    assert 0 < room <= 500
    assert "of 1000 collections and indexes" in full
    assert growth_stage.room_for("shared")[0] > 10**6


@pytest.mark.needs_mongod
@pytest.mark.xdist_group("growth")
def test_growth_is_measured_through_the_product(tmp_path, capsys):
    results = growth.Results(tmp_path / "growth.json")
    options = argparse.Namespace(max=10, resume=False, minutes=5.0)

    growth.run("collection", options, results, Console(file=io.StringIO()))

    (found,) = results.figures
    assert (found["kind"], found["tenants"]) == ("collection", 10)
    assert found["data_files"] > 2 * 10
    assert all(found[name] > 0 for name in ("create_p50_ms", "warm_p50_ms", "cold_p10_ms",
                                            "http_p95_ms", "mongod_mib", "start_s"))  # fmt: skip
    assert results.ends == {}
