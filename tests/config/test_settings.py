"""A wrong setting is one sentence that names it, before anything is started."""

import math
import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks

from tests.forks import ROOT, Fork, running_forks


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the system checks with some settings."""
    order = {"arguments": ["check"], "environment": {**os.environ, **environment}}
    return Fork(order).completed()


def check_from_the_start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the system checks in a process that has not imported anything."""
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("PORT", "abc", "PORT cannot be “abc”"),
        ("TENANTRY_HOME", "/proc/none", "TENANTRY_HOME /proc/none cannot be used"),
        ("TENANCY_NAMING", "pretty", "TENANCY_NAMING is one of name, id"),
        ("TENANCY_CATALOG_TTL", "0", "TENANCY_CATALOG_TTL is more than 0"),
        ("TENANCY_CATALOG_TTL", "nan", "TENANCY_CATALOG_TTL cannot be “nan”"),
        ("ACCOUNTS_ROW_TTL", "0", "ACCOUNTS_ROW_TTL is more than 0 and at most 5.0 seconds"),
        ("ACCOUNTS_ROW_TTL", "5.1", "ACCOUNTS_ROW_TTL is more than 0"),
        ("ACCOUNTS_ROW_TTL", "inf", "ACCOUNTS_ROW_TTL cannot be “inf”"),
        ("TENANCY_OPERATION_TIMEOUT", "-1", "TENANCY_OPERATION_TIMEOUT is a positive"),
        ("TENANCY_DATABASE", "admin", "TENANCY_DATABASE is a database name"),
        ("TENANTRY_THREADS", "0", "TENANTRY_PROCESSES and TENANTRY_THREADS are 1 to"),
        ("TENANTRY_PROCESSES", "300", "TENANTRY_PROCESSES and TENANTRY_THREADS are 1 to"),
        ("TENANTRY_PROCESSES", "many", "TENANTRY_PROCESSES cannot be “many”"),
        ("TENANTRY_QUEUE", "-1", "TENANTRY_QUEUE is “auto”, or"),
        ("TENANTRY_QUEUE_SECONDS", "0", "TENANTRY_QUEUE_SECONDS is more than 0 and at most 60"),
        ("TENANTRY_STOP_SECONDS", "0", "TENANTRY_STOP_SECONDS is more than 0 and at most 3600"),
        ("TENANTRY_DRAIN_SECONDS", "-1", "TENANTRY_DRAIN_SECONDS is 0 to 3600 seconds"),
        ("TENANTRY_FAILPOINT", "create.lunch", "TENANTRY_FAILPOINT is no <kind>.<step>"),
        ("DATABASE_URL", "foo", "DATABASE_URL is postgresql://"),
        ("DATABASE_URL", "mysql://a:b@c/d", "DATABASE_URL is postgresql://"),
        ("DATABASE_URL", "postgres://u:hunter2@h:port/d", "DATABASE_URL is postgresql://"),
        ("LOG_LEVEL", "foo", "LOG_LEVEL is INFO, WARNING or another level, not “foo”"),
        ("DEBUG", "maybe", "DEBUG is true or false, not “maybe”"),
        ("TENANTRY_PRODUCTION", "ture", "TENANTRY_PRODUCTION is true or false, not “ture”"),
        ("REDIS_PREFIX", "two words", "REDIS_PREFIX is 1 to 64 letters"),
        ("MONGODB_URI", "http://127.0.0.1", "MONGODB_URI begins with mongodb://"),
    ],
)
def test_wrong_setting_is_named(setting, value, said):
    done = check(**{setting: value})

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


AGES = {"TENANCY_CATALOG_TTL": "tenancy.E002", "ACCOUNTS_ROW_TTL": "accounts.E007"}


@pytest.mark.parametrize("setting", AGES)
@pytest.mark.parametrize(
    ("age", "is_good"),
    [(math.nan, False), (math.inf, False), (-math.inf, False), (-1.0, False), (0.0, False),
     (5.001, False), (0.001, True), (4, True), (5.0, True)],
)  # fmt: skip
def test_age_of_what_is_cached_is_bounded(settings, setting, age, is_good):
    setattr(settings, setting, age)

    said = [each.id for each in run_checks()]

    assert said == ([] if is_good else [AGES[setting]])


@pytest.mark.parametrize(
    ("setting", "id_", "least", "most"),
    [
        ("TENANTRY_QUEUE_SECONDS", "tenancy.E015", 0.001, 60.0),
        ("TENANTRY_STOP_SECONDS", "tenancy.E016", 0.001, 3_600.0),
        ("TENANTRY_DRAIN_SECONDS", "tenancy.E017", 0.0, 3_600.0),
    ],
)
def test_what_waits_is_bounded(settings, setting, id_, least, most):
    wrong = [-1.0, least - 0.001, most + 0.001, 99_999_999_999.0, math.inf, math.nan]
    for seconds, expected in [(least, []), (most, []), *((each, [id_]) for each in wrong)]:
        setattr(settings, setting, seconds)

        assert [each.id for each in run_checks()] == expected, seconds


@pytest.mark.parametrize("setting", ["DATABASE_URL", "LOG_LEVEL", "DEBUG"])
def test_value_that_cannot_be_read_is_one_sentence(setting):
    done = check_from_the_start(**{setting: "foo"})

    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith(f"A setting is wrong: {setting} is ")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("DEBUG", "False"), ("DEBUG", "0"), ("DEBUG", ""), ("DEBUG", "ON"), ("LOG_LEVEL", "debug")],
)
def test_values_can_be_written_in_the_usual_ways(setting, value):
    assert check(**{setting: value}).returncode == 0


def test_production_refuses_fail_points_and_needs_hosts():
    done = check(TENANTRY_PRODUCTION="true", TENANTRY_FAILPOINT="create.reserve", ALLOWED_HOSTS="")

    assert "tenancy.E006" in done.stderr
    assert "tenancy.E009" in done.stderr


def test_production_refuses_a_short_secret():
    short, enough = (
        check(TENANTRY_PRODUCTION="true", ALLOWED_HOSTS="example.org", SECRET_KEY="s" * length)
        for length in (31, 32)
    )

    assert "tenancy.E010" in short.stderr
    assert "SECRET_KEY has at least 32 characters" in short.stderr
    assert enough.returncode == 0


def test_production_runs_with_the_secret_that_was_made():
    done = check_from_the_start(TENANTRY_PRODUCTION="true", ALLOWED_HOSTS="example.org")

    assert done.returncode == 0


@pytest.mark.parametrize(("behind", "secure"), [("false", False), ("true", True)])
def test_header_of_a_proxy_counts_only_behind_one(behind, secure):
    code = (
        "from django.test import RequestFactory\n"
        "answer(RequestFactory().get('/', HTTP_X_FORWARDED_PROTO='https').is_secure())"
    )
    settings = {"TENANTRY_PRODUCTION": "true", "TENANTRY_BEHIND_PROXY": behind}

    with running_forks({**os.environ, **settings}) as forks:
        assert forks.run(code) is secure
