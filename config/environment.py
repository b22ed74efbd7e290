"""How settings are read from the environment: strictly, and never repeating a secret."""

import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
AUTO = "auto"
FALSE_STRINGS = ("false", "off", "no", "n", "0", "")
CATALOG_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


class Environment(environ.Env):
    """The environment; a value that cannot be read is named in the error."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return a value as its type."""
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"{var} cannot be “{os.environ.get(var)}”.") from error

    def bool(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return a switch; what is neither on nor off is an error."""
        given = os.environ.get(var, "").lower()
        if given not in (*self.BOOLEAN_TRUE_STRINGS, *FALSE_STRINGS):
            raise ImproperlyConfigured(f"{var} is true or false, not “{os.environ[var]}”.")
        return super().bool(var, *args, **kwargs)

    def count(self, var: str) -> int | None:
        """Return a number, or None where it is `auto`: the service finds one that suits."""
        return None if self.str(var, AUTO).lower() == AUTO else int(self.int(var))

    def choice(self, var: str, *choices: str) -> str:
        """Return one of the choices, by default the first."""
        given: str = self.str(var, choices[0])
        if given not in choices:
            raise ImproperlyConfigured(f"{var} is one of {', '.join(choices)}, not “{given}”.")
        return given


env = Environment()  # type: ignore[no-untyped-call]
environ.Env.read_env(BASE_DIR / ".env")


def make_home(home: Path) -> None:
    """Make the directory of everything that is kept."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # password hashes
    except OSError as error:
        raise ImproperlyConfigured(
            f"TENANTRY_HOME {home} cannot be used: {error.strerror}."
        ) from error


def kept_secret(path: Path, new: str) -> str:
    """Return a secret of this home, `new` at first: the first of several processes wins."""
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w") as file:
            file.write(new)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    return path.read_text().strip()


def databases(home: Path) -> dict[str, Any]:
    """Return Django's DATABASES: the catalog, in SQLite under the home by default."""
    catalog = _catalog(home)
    if catalog["ENGINE"] == "django.db.backends.sqlite3":
        # Several threads and processes write one file: wait for each other, start as a writer.
        catalog.setdefault("OPTIONS", {}).update(
            timeout=5,
            transaction_mode="IMMEDIATE",
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        )
        catalog["CONN_MAX_AGE"] = None
    else:
        catalog.setdefault("CONN_MAX_AGE", 60)
        catalog["CONN_HEALTH_CHECKS"] = True
    return {"default": catalog}


def _catalog(home: Path) -> dict[str, Any]:
    """Return where the catalog is. A wrong value is not repeated: it may hold a password."""
    wrong = "DATABASE_URL is postgresql://user:password@host:port/name or sqlite:///path."
    try:
        with warnings.catch_warnings(action="ignore"):  # they repeat the value, too
            found = env.db_url("DATABASE_URL", f"sqlite:///{home / 'catalog.sqlite3'}")
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(wrong) from error
    if found.get("ENGINE") not in CATALOG_ENGINES or not found.get("NAME"):
        raise ImproperlyConfigured(wrong)
    return dict(found)


def log_level(default: str) -> str:
    """Return LOG_LEVEL, or a default where it is not set."""
    name: str = env.str("LOG_LEVEL", default)
    if name.upper() not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured(f"LOG_LEVEL is INFO, WARNING or another level, not “{name}”.")
    return name.upper()
