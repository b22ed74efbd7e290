"""manage.py plan_capacity: a recommendation, or one sentence about what cannot be asked."""

import io
import json
from contextlib import redirect_stderr

import pytest
from django.core.management import CommandError, call_command

from tenancy.capacity import BOUNDS, Demand, plan_capacity

pytestmark = pytest.mark.once


def run(*arguments):
    out = io.StringIO()
    call_command("plan_capacity", *arguments, stdout=out)
    return out.getvalue()


def test_recommends_a_kind_first_and_says_why():
    first, second, *_ = run("--tenants", "500", "--documents", "100000").splitlines()

    assert first == (
        "500 organizations with 100,000 documents (200 each): place them in kind “collection”, "
        "on 1 cluster."
    )
    assert second.startswith("Collections of their own take 1,000 files")


def test_names_everything_that_has_to_be_there():
    text = run("--tenants", "20000", "--documents", "2000000", "--requests-per-second", "1500")

    for word in ("kind “shared”", "ulimit -n 64000", "3 processes of 8 threads on 1 machine",
                 "REDIS_URL", "SQLite", "What limits first:"):  # fmt: skip
        assert word in text


def test_several_clusters_are_said_with_how_many_live_on_each():
    text = run("--tenants", "8000", "--documents", "160000000", "--indexes", "1")

    assert "on 3 clusters of 2,667 organizations" in text
    assert "PostgreSQL (DATABASE_URL)" in text
    assert "3 replica sets of three servers each" in text


def test_what_was_not_measured_is_a_warning():
    text = run("--tenants", "900000", "--documents", "900000")

    assert "Warning: Extrapolated: 900,000 organizations of kind shared" in text


def test_what_fits_no_server_is_a_warning_and_no_percentage():
    text = run("--tenants", "3", "--documents", "1000000000000")

    assert "70,781 GiB for each MongoDB server" in text
    assert "(1,105.9 times as much is needed)" in text
    assert "Warning: An organization takes 70,781 GiB of memory, and a server has 64 GiB" in text


def test_connections_do_not_ask_for_a_higher_ceiling():
    """The ceiling counts collections and indexes; processes take files besides."""
    text = run("--tenants", "100", "--documents", "90000000", "--requests-per-second", "1000000")

    assert "104,700 of each server with connections and reserve" in text
    assert "CEILING" not in text


def test_says_which_times_are_not_those_of_a_processor():
    *_, last = run("--tenants", "1", "--documents", "1").splitlines()

    assert last.startswith("Times are processor time; that of a read is by the clock")


def test_json_is_the_plan():
    told = json.loads(
        run("--tenants", "7", "--documents", "70", "--document-bytes", "2000",
            "--requests-per-second", "600", "--indexes", "2", "--json")
    )  # fmt: skip
    plan = plan_capacity(Demand(7, 70, 2_000, 600, 2))

    assert told["demand"] == {name: getattr(plan.demand, name) for name in BOUNDS}
    assert (told["kind"], told["clusters"], told["web_processes"]) == ("collection", 1, 2)
    assert told["limits_first"] in told["shares"]
    assert told["expected"]["create_ms"] == plan.expected.create_ms


@pytest.mark.parametrize(
    "text", ["0", "-1", "ten", "", " ", "1e3", "1.5", "nan", "9" * 20, "9" * 5_000, "\0"]
)
@pytest.mark.parametrize(
    "option", ["tenants", "documents", "document-bytes", "requests-per-second"]
)
def test_what_is_no_number_within_bounds_is_refused_in_a_sentence(option, text):
    asked = {"tenants": "5", "documents": "5", option: text}

    with pytest.raises(CommandError) as refused:
        run(*(f"--{name}={value}" for name, value in asked.items()))

    least, greatest = BOUNDS[option.replace("-", "_")]
    assert f"a whole number from {least:,} to {greatest:,} is needed" in str(refused.value)
    assert len(str(refused.value)) < 250


def test_the_command_line_ends_with_2():
    from django.core.management import execute_from_command_line

    with pytest.raises(SystemExit) as ended, redirect_stderr(io.StringIO()) as told:
        execute_from_command_line(["manage.py", "plan_capacity", "--tenants", "0", "--documents=1"])

    assert ended.value.code == 2
    assert "argument --tenants: a whole number from 1 to 10,000,000 is needed" in told.getvalue()


def test_both_numbers_are_needed():
    with pytest.raises(CommandError, match="--documents"):
        run("--tenants", "5")
