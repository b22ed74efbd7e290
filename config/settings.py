"""Every setting, from the environment, with defaults that run on a bare machine.

README.md lists them. `tenancy/checks.py` names what is wrong with a value.
"""

import base64
import os
import secrets
from datetime import timedelta
from pathlib import Path

from config.environment import BASE_DIR, databases, env, kept_secret, log_level, make_home
from config.machine import sizes

VERSION = "0.1.0"
TENANTRY_HOME = Path(env.str("TENANTRY_HOME", str(BASE_DIR / "var"))).resolve()
TENANTRY_PRODUCTION: bool = env.bool("TENANTRY_PRODUCTION", False)
TENANTRY_BEHIND_PROXY: bool = env.bool("TENANTRY_BEHIND_PROXY", False)
TENANTRY_FAILPOINT: str = env.str("TENANTRY_FAILPOINT", "")
PORT: int = env.int("PORT", 8000)
TENANTRY_HOST: str = env.str("TENANTRY_HOST", "127.0.0.1")
TENANTRY_DRAIN_SECONDS: float = env.float("TENANTRY_DRAIN_SECONDS", 0.0)
TENANTRY_STOP_SECONDS: float = env.float("TENANTRY_STOP_SECONDS", 25.0)

# --- Django -------------------------------------------------------------------------------------
make_home(TENANTRY_HOME)
SECRET_KEY: str = env.str("SECRET_KEY", "") or kept_secret(
    TENANTRY_HOME / "secret_key", secrets.token_urlsafe(64)
)
# What was signed with one of these is still believed, until they are taken away.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])
# The first encrypts, each decrypts; 32 bytes each, in URL-safe base64.
FIELD_ENCRYPTION_KEYS: list[str] = env.list("FIELD_ENCRYPTION_KEYS", default=[]) or [
    kept_secret(
        TENANTRY_HOME / "field_encryption_key", base64.urlsafe_b64encode(os.urandom(32)).decode()
    )
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
    "django_otp",
    "tenancy",
    "accounts",
]
MIDDLEWARE = [
    "tenancy.middleware.TenantMiddleware",
    "config.shortcut.ApiShortcut",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
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


DATABASES = databases(TENANTRY_HOME)

PASSWORD_HASHERS = ["accounts.hashing.PasswordHasher"]
PASSWORD_RESET_TIMEOUT: int = env.int("PASSWORD_RESET_TIMEOUT", 3_600)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

AUTHENTICATION_BACKENDS = ["accounts.backends.PasswordBackend"]  # of the admin site

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


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": log_level("WARNING")},
    "loggers": {
        "tenantry": {"level": log_level("INFO")},
        # Every refused request is answered with a reason; it is not an event for operators.
        "django.request": {"level": "ERROR"},
    },
}

# --- Letters ------------------------------------------------------------------------------------
vars().update(env.email_url("EMAIL_URL", "consolemail://"))
EMAIL_TIMEOUT: float = env.float("EMAIL_TIMEOUT", 10.0)
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "Tenantry <tenantry@localhost>")
# Where people reach this service, or the application in front of it: for the links in letters.
PUBLIC_URL: str = env.str("PUBLIC_URL", f"http://localhost:{PORT}")

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
TENANCY_IMPORT_MAX_BYTES: int = env.int("TENANCY_IMPORT_MAX_BYTES", 4 * 1024**3)
TENANCY_CLUSTER_CEILING: int = env.int("TENANCY_CLUSTER_CEILING", 20_000)
# What /readyz says besides: a name, and the function that is asked. tenancy knows no limits.
TENANCY_READINESS_NOTES = {
    "limits": "accounts.limit_stores.state",
    "changes": "tenancy.invalidation.state",
}
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "")  # empty: no metrics for anybody
# How the middleware learns which organization a request is for, without knowing what a user is.
TENANCY_CLAIM_RESOLVER = "accounts.authentication.organization_claim"

# --- Accounts -----------------------------------------------------------------------------------
ACCOUNTS_ROW_TTL: float = env.float("ACCOUNTS_ROW_TTL", 4.0)
ACCOUNTS_SESSION_LIFETIME = timedelta(days=env.float("ACCOUNTS_SESSION_LIFETIME", 30))
# A refresh token that is not used lapses; a session ends after its lifetime in any case.
ACCOUNTS_REFRESH_LIFETIME = timedelta(days=env.float("ACCOUNTS_REFRESH_LIFETIME", 14))
ACCOUNTS_INVITATION_LIFETIME = timedelta(days=env.float("ACCOUNTS_INVITATION_LIFETIME", 7))
# As ACCOUNTS_RESET_URL: where an invitation is accepted, with {token} in it.
ACCOUNTS_INVITATION_URL: str = env.str("ACCOUNTS_INVITATION_URL", "")
# open: an account at once; confirmed: once its address has been shown to be theirs.
ACCOUNTS_SIGNUP: str = env.str("ACCOUNTS_SIGNUP", "open")
ACCOUNTS_CONFIRMATION_LIFETIME = timedelta(hours=env.float("ACCOUNTS_CONFIRMATION_LIFETIME", 24))
# Pages of an application for the links in letters, with {token} in them; empty: the API's routes.
ACCOUNTS_RESET_URL: str = env.str("ACCOUNTS_RESET_URL", "")
ACCOUNTS_CONFIRMATION_URL: str = env.str("ACCOUNTS_CONFIRMATION_URL", "")
# Of one user. Deleted ones count until they are purged.
ACCOUNTS_MAX_ORGANIZATIONS: int = env.int("ACCOUNTS_MAX_ORGANIZATIONS", 20)
ACCOUNTS_CODE_THROTTLE: float = env.float("ACCOUNTS_CODE_THROTTLE", 1.0)
# What authenticator apps call this service.
ACCOUNTS_TWO_FACTOR_ISSUER: str = env.str("ACCOUNTS_TWO_FACTOR_ISSUER", "Tenantry")
# Whoever has an authenticator is asked for a code; with this every operator must have one.
ADMIN_TWO_FACTOR: bool = env.bool("ADMIN_TWO_FACTOR", False)

# PEM, or the path of a file of it; empty: tokens are signed with SECRET_KEY.
JWT_PRIVATE_KEY: str = env.str("JWT_PRIVATE_KEY", "", multiline=True)

# --- Limits -------------------------------------------------------------------------------------
RATE_LIMITS: bool = env.bool("RATE_LIMITS", True)
REDIS_URL: str = env.str("REDIS_URL", "")  # empty: each process counts in its own memory
# What keys and channels in Redis begin with: installations that share a server do not mix.
REDIS_PREFIX: str = env.str("REDIS_PREFIX", "tenantry")
CACHE_IN_REDIS: bool = env.bool("CACHE_IN_REDIS", False)
LIMIT_LOGIN_ADDRESS: str = env.str("LIMIT_LOGIN_ADDRESS", "60/minute")
LIMIT_LOGIN_ACCOUNT: str = env.str("LIMIT_LOGIN_ACCOUNT", "100/hour")
LIMIT_LOGIN_PAIR: str = env.str("LIMIT_LOGIN_PAIR", "10/15 minutes")
LIMIT_TWO_FACTOR_ACCOUNT: str = env.str("LIMIT_TWO_FACTOR_ACCOUNT", "10/15 minutes")
LIMIT_SIGNUP_ADDRESS: str = env.str("LIMIT_SIGNUP_ADDRESS", "100/hour")
LIMIT_FORGOT_ADDRESS: str = env.str("LIMIT_FORGOT_ADDRESS", "20/hour")
LIMIT_FORGOT_ACCOUNT: str = env.str("LIMIT_FORGOT_ACCOUNT", "3/hour")
LIMIT_REFRESH_ADDRESS: str = env.str("LIMIT_REFRESH_ADDRESS", "300/minute")
LIMIT_INVITATION_ADDRESS: str = env.str("LIMIT_INVITATION_ADDRESS", "60/minute")

# --- Processes ----------------------------------------------------------------------------------
# Several processes that count limits each in its own memory let so many times as much through.
TENANTRY_PROCESSES, TENANTRY_THREADS, TENANTRY_QUEUE, ACCOUNTS_HASHERS = sizes(
    processes=env.count("TENANTRY_PROCESSES"),
    threads=env.count("TENANTRY_THREADS"),
    queue=env.count("TENANTRY_QUEUE"),
    hashers=env.count("ACCOUNTS_HASHERS"),
    may_be_several=bool(REDIS_URL),
)
TENANTRY_QUEUE_SECONDS: float = env.float("TENANTRY_QUEUE_SECONDS", 2.0)

SIMPLE_JWT = {
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
    "DEFAULT_THROTTLE_CLASSES": [
        "accounts.throttles.AddressThrottle",
        "accounts.throttles.PlanThrottle",
    ],
    "DEFAULT_PARSER_CLASSES": ["tenancy.api.json.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["tenancy.api.json.JsonRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tenancy.api.json.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "accounts.openapi.RouteSchema",
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
        "tenancy.api.schema_hooks.complete",
        "tenancy.api.schema_headers.describe_headers",
        "config.documentation.name_codes",
        "config.documentation.name_refusals_of_server",
    ],
}
