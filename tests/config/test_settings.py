"""A wrong setting is one sentence that names it, before anything is started."""

import os
import subprocess
import sys

import pytest

from tests.processes import ROOT


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the system checks with some settings."""
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
        ("TENANCY_OPERATION_TIMEOUT", "-1", "TENANCY_OPERATION_TIMEOUT is a positive"),
        ("TENANCY_DATABASE", "admin", "TENANCY_DATABASE is a database name"),
        ("TENANTRY_THREADS", "0", "TENANTRY_PROCESSES and TENANTRY_THREADS"),
        ("TENANTRY_FAILPOINT", "create.lunch", "TENANTRY_FAILPOINT is no <kind>.<step>"),
        ("MONGODB_URI", "http://127.0.0.1", "MONGODB_URI begins with mongodb://"),
    ],
)
def test_wrong_setting_is_named(setting, value, said):
    done = check(**{setting: value})

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_production_refuses_fail_points_and_needs_hosts():
    done = check(TENANTRY_PRODUCTION="true", TENANTRY_FAILPOINT="create.reserve", ALLOWED_HOSTS="")

    assert "tenancy.E006" in done.stderr
    assert "tenancy.E009" in done.stderr
