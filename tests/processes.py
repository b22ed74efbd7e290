"""Processes of the product beside the test: real ones, that can be killed."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from pymongo import MongoClient
from pymongo.database import Database

from tests.forks import SETUP, Fork

QUICK = {"TENANCY_CATALOG_TTL": "0.05", "TENANCY_OPERATION_TIMEOUT": "1.2"}


@dataclass(frozen=True)
class Deployment:
    """A home, a catalog and a database of tenants, for any number of processes."""

    environment: dict[str, str]
    tenants: Database[dict[str, Any]]

    def physical(self) -> list[str]:
        """Return what lies in the tenants' database, MongoDB's own left out."""
        names = self.tenants.list_collection_names()
        return sorted(name for name in names if not name.startswith("system."))

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        return self._run({"arguments": arguments}, environment)

    def python(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a few lines in a process of the product."""
        return self._run({"code": SETUP + code, "names": {}}, environment)

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it prints."""
        return json.loads(self.manage(*arguments, "--json").stdout)

    def _run(
        self, order: dict[str, Any], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return Fork({**order, "environment": self.environment | environment}).completed()


def make_deployment(
    home: Path,
    client: MongoClient[dict[str, Any]],
    template: Path | None = None,
    **environment: str,
) -> Deployment:
    """Return a deployment of its own, on the session's mongod; migrated unless from a template."""
    home.mkdir(parents=True, exist_ok=True)
    database = f"t_{home.name}_{os.getpid()}"[-60:]
    variables = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "TENANTRY_HOME": str(home),
        "DATABASE_URL": f"sqlite:///{home}/catalog.sqlite3",
        "MONGODB_URI": settings.MONGODB_URI,
        "TENANCY_DATABASE": database,
        "RATE_LIMITS": "off",  # everything comes from one address
        **environment,
    }
    deployment = Deployment(variables, client[database])
    if "DATABASE_URL" in environment:
        _migrate(deployment)
    else:
        shutil.copy(template or _migrated_catalog(deployment), home / "catalog.sqlite3")
    return deployment


def _migrate(deployment: Deployment) -> None:
    done = deployment.manage("migrate", "--verbosity=0")
    assert done.returncode == 0, done.stderr


def _migrated_catalog(deployment: Deployment) -> Path:
    """Return a catalog that was migrated and nothing else: made once in this test process."""
    if not _migrated:
        folder = Path(tempfile.mkdtemp(dir=settings.TENANTRY_HOME))
        catalog = folder / "catalog.sqlite3"
        _migrate(replace(deployment, environment=deployment.environment | {
            "TENANTRY_HOME": str(folder), "DATABASE_URL": f"sqlite:///{catalog}",
        }))  # fmt: skip
        _migrated.append(catalog)
    return _migrated[0]


_migrated: list[Path] = []
