"""Every setting, from the environment, with defaults that run on a bare machine.

README.md lists them. `tenancy/checks.py` names what is wrong with a value.
"""

import base64
import logging
import os
import secrets
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

FALSE_STRINGS = ("false", "off", "no", "n", "0", "")


class _Environment(environ.Env):
    """The environment; a value that cannot be read is named in the error."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except (ValueError, TypeError) as error:
            raise ImproperlyConfigured(f"{var} cannot be “{os.environ.get(var)}”.") from error

    def bool(self, var: str, *args: Any, **kwargs: Any) -> Any:
        given = os.environ.get(var, "").lower()
        if given not in (*self.BOOLEAN_TRUE_STRINGS, *FALSE_STRINGS):
            raise ImproperlyConfigured(f"{var} is true or false, not “{os.environ[var]}”.")
        return super().bool(var, *args, **kwargs)


env = _Environment()  # type: ignore[no-untyped-call]
BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")

VERSION = "0.1.0"
TENANTRY_HOME = Path(env.str("TENANTRY_HOME", str(BASE_DIR / "var"))).resolve()
TENANTRY_PRODUCTION: bool = env.bool("TENANTRY_PRODUCTION", False)
TENANTRY_BEHIND_PROXY: bool = env.bool("TENANTRY_BEHIND_PROXY", False)
TENANTRY_FAILPOINT: str = env.str("TENANTRY_FAILPOINT", "")
PORT: int = env.int("PORT", 8000)
TENANTRY_HOST: str = env.str("TENANTRY_HOST", "127.0.0.1")
TENANTRY_PROCESSES: int = env.int("TENANTRY_PROCESSES", 1)
TENANTRY_THREADS: int = env.int("TENANTRY_THREADS", 8)


def _make_home() -> None:
    try:
        TENANTRY_HOME.mkdir(mode=0o700, parents=True, exist_ok=True)  # password hashes
    except OSError as error:
        raise ImproperlyConfigured(
            f"TENANTRY_HOME {TENANTRY_HOME} cannot be used: {error.strerror}."
        ) from error


def _kept_secret(name: str, new: str) -> str:
    """Return a secret of this home, `new` at first: the first of several processes wins."""
    path = TENANTRY_HOME / name
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=TENANTRY_HOME)
        with os.fdopen(descriptor, "w") as file:
            file.write(new)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    return path.read_text().strip()


# --- Django -------------------------------------------------------------------------------------
_make_home()
SECRET_KEY: str = env.str("SECRET_KEY", "") or _kept_secret("secret_key", secrets.token_urlsafe(64))
# The first encrypts, each decrypts; 32 bytes each, in URL-safe base64.
FIELD_ENCRYPTION_KEYS: list[str] = env.list("FIELD_ENCRYPTION_KEYS", default=[]) or [
    _kept_secret("field_encryption_key", base64.urlsafe_b64encode(os.urandom(32)).decode())
]
DEBUG: bool = env.bool("DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=[] if TENANTRY_PRODUCTION else ["localhost", "127.0.0.1", "[::1]"]
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "/admin/"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tenancy",
    "accounts",
]
MIDDLEWARE = [
    "tenancy.middleware.TenantMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False


CATALOG_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


def _catalog() -> dict[str, Any]:
    """Return where the catalog is. A wrong value is not repeated: it may hold a password."""
    wrong = "DATABASE_URL is postgresql://user:password@host:port/name or sqlite:///path."
    try:
        with warnings.catch_warnings(action="ignore"):  # they repeat the value, too
            found = env.db_url("DATABASE_URL", f"sqlite:///{TENANTRY_HOME / 'catalog.sqlite3'}")
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(wrong) from error
    if found.get("ENGINE") not in CATALOG_ENGINES or not found.get("NAME"):
        raise ImproperlyConfigured(wrong)
    return dict(found)


def _databases() -> dict[str, Any]:
    catalog = _catalog()
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


DATABASES = _databases()

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# Whoever reaches the service directly could send the header, too: only a proxy makes it true.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TENANTRY_BEHIND_PROXY else None

if TENANTRY_PRODUCTION:
    SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", True)
    SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True


def _log_level(name: str) -> str:
    if name.upper() not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured(f"LOG_LEVEL is INFO, WARNING or another level, not “{name}”.")
    return name.upper()


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": _log_level(env.str("LOG_LEVEL", "WARNING"))},
    "loggers": {
        "tenantry": {"level": _log_level(env.str("LOG_LEVEL", "INFO"))},
        # Every refused request is answered with a reason; it is not an event for operators.
        "django.request": {"level": "ERROR"},
    },
}

# --- Tenancy ------------------------------------------------------------------------------------
MONGODB_URI: str = env.str("MONGODB_URI", "")  # empty: the embedded server's, once it runs
TENANCY_DATABASE: str = env.str("TENANCY_DATABASE", "tenantry")
TENANCY_NAMING: str = env.str("TENANCY_NAMING", "name")
TENANCY_CATALOG_TTL: float = env.float("TENANCY_CATALOG_TTL", 0.5)
TENANCY_OPERATION_TIMEOUT: float = env.float("TENANCY_OPERATION_TIMEOUT", 5.0)
TENANCY_SLUG_RETIREMENT = timedelta(days=env.float("TENANCY_SLUG_RETIREMENT", 90))
TENANCY_DELETE_GRACE = timedelta(days=env.float("TENANCY_DELETE_GRACE", 30))
TENANCY_MAX_COLLECTIONS: int = env.int("TENANCY_MAX_COLLECTIONS", 100)
TENANCY_MAX_DOCUMENT_BYTES: int = env.int("TENANCY_MAX_DOCUMENT_BYTES", 1_048_576)
TENANCY_CLUSTER_CEILING: int = env.int("TENANCY_CLUSTER_CEILING", 20_000)
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "")  # empty: no metrics for anybody
# How the middleware learns which organization a request is for, without knowing what a user is.
TENANCY_CLAIM_RESOLVER = "accounts.authentication.organization_claim"

# --- Accounts -----------------------------------------------------------------------------------
ACCOUNTS_ROW_TTL: float = env.float("ACCOUNTS_ROW_TTL", 5.0)
ACCOUNTS_SESSION_LIFETIME = timedelta(days=env.float("ACCOUNTS_SESSION_LIFETIME", 30))
ACCOUNTS_HASHERS: int = env.int("ACCOUNTS_HASHERS", 2)

SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "ISSUER": env.str("JWT_ISSUER", "tenantry"),
    "AUDIENCE": env.str("JWT_AUDIENCE", "tenantry"),
    "LEEWAY": 30,
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.float("ACCESS_TOKEN_MINUTES", 10)),
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": "typ",
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.DeclaredPermission"],
    "DEFAULT_PARSER_CLASSES": ["tenancy.api.json.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["tenancy.api.json.JsonRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tenantry",
    "DESCRIPTION": "Organizations on MongoDB: sign-up, sign-in and documents over REST.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # The order of the docs page: what people come for first.
    "TAGS": [
        {"name": name}
        for name in (
            "identity",
            "organization",
            "collections",
            "documents",
            "compatibility",
            "health",
        )
    ],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tenancy.api.schema.take_bodies_of_delete",
    ],
}
