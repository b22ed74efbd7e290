"""Every route of the product."""

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path, re_path
from django.views.decorators.cache import cache_control
from rest_framework.viewsets import ViewSet

from accounts.api.api_keys import ApiKeyViewSet
from accounts.api.auth import AuthViewSet
from accounts.api.invitations import AcceptanceViewSet, InvitationViewSet, InvitedViewSet
from accounts.api.legacy import GetLegacyViewSet, ManageLegacyViewSet, SignUpLegacyViewSet
from accounts.api.legacy_login import LogInLegacyViewSet
from accounts.api.me import MeViewSet
from accounts.api.members import MemberViewSet
from accounts.api.organizations import BelongingViewSet, FoundingViewSet, RestoreViewSet
from accounts.api.passwords import ForgottenPasswordViewSet, PasswordViewSet
from accounts.api.sessions import LogoutViewSet, SessionViewSet
from accounts.api.signing_keys import SigningKeyViewSet
from accounts.api.two_factor import SecondFactorViewSet, TwoFactorViewSet
from config.documentation import DocumentationPage, DocumentView
from config.errors import ErrorViewSet
from config.home import HomeViewSet
from tenancy.api.audit import AuditViewSet
from tenancy.api.bulk import BulkViewSet
from tenancy.api.collections import CollectionViewSet
from tenancy.api.documents import DocumentViewSet
from tenancy.api.health import HealthViewSet
from tenancy.api.indexes import IndexViewSet
from tenancy.api.operations import OperationViewSet
from tenancy.api.organizations import OrganizationViewSet
from tenancy.api.queries import QueryViewSet
from tenancy.api.schemas import SchemaViewSet
from tenancy.api.transfer import TransferViewSet

handler400 = "config.problems.bad_request"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"

COLLECTIONS = "api/v1/collections/"
COLLECTION = f"{COLLECTIONS}<str:collection>"
DOCUMENTS = f"{COLLECTION}/documents"
# Here are tokens, secrets and people: neither browsers nor proxies keep what is answered.
NOT_STORED = ("api/v1/auth/", "api/v1/me", "api/v1/invitations/", "admin/login")


def _api(route: str, viewset: type[ViewSet], name: str, **actions: Any) -> URLPattern:
    view = viewset.as_view(actions)
    if route.startswith(NOT_STORED):
        view = cache_control(no_store=True)(view)
    return path(route, view, name=name)


def _rank(route: Any) -> tuple[bool, bool]:
    """Return what sorts routes by how often they are asked for: documents, collections, others."""
    pattern = str(route.pattern).lstrip("^")
    return "/documents" not in pattern, not pattern.startswith(COLLECTIONS)


urlpatterns = [
    _api("", HomeViewSet, "home", get="home"),
    _api("health", HomeViewSet, "health", get="health"),
    _api("livez", HealthViewSet, "livez", get="livez"),
    _api("readyz", HealthViewSet, "readyz", get="readyz"),
    _api("metrics", HealthViewSet, "metrics", get="metrics"),
    _api(".well-known/jwks.json", SigningKeyViewSet, "jwks", get="list"),
    _api("api/v1/errors", ErrorViewSet, "errors", get="list"),
    _api("api/v1/auth/signup", AuthViewSet, "signup", post="signup"),
    _api("api/v1/auth/signup/confirm", AuthViewSet, "signup-confirm", post="confirm"),
    _api("api/v1/auth/login", AuthViewSet, "login", post="login"),
    _api("api/v1/auth/refresh", AuthViewSet, "refresh", post="refresh"),
    _api("api/v1/auth/logout", LogoutViewSet, "logout", post="logout"),
    _api("api/v1/auth/logout-all", LogoutViewSet, "logout-all", post="logout_all"),
    _api("api/v1/auth/password/change", PasswordViewSet, "password-change", post="change"),
    _api("api/v1/auth/password/forgot", ForgottenPasswordViewSet, "password-forgot", post="forgot"),
    _api("api/v1/auth/password/reset", ForgottenPasswordViewSet, "password-reset", post="reset"),
    _api("api/v1/auth/two-factor", TwoFactorViewSet, "two-factor", get="retrieve"),
    _api(
        "api/v1/auth/two-factor/totp", TwoFactorViewSet, "authenticator",
        post="create", delete="destroy",
    ),
    _api(
        "api/v1/auth/two-factor/totp/confirm", TwoFactorViewSet, "confirm-authenticator",
        post="confirm",
    ),
    _api(
        "api/v1/auth/two-factor/recovery-codes", TwoFactorViewSet, "recovery-codes", post="renew"
    ),
    _api(
        "api/v1/auth/two-factor/verify", SecondFactorViewSet, "second-factor", post="verify"
    ),
    _api("api/v1/auth/sessions", SessionViewSet, "sessions", get="list"),
    _api("api/v1/auth/sessions/<str:session_id>", SessionViewSet, "session", delete="destroy"),
    _api(
        "api/v1/organization", OrganizationViewSet, "organization",
        get="retrieve", patch="partial_update", delete="destroy",
    ),
    _api("api/v1/organization/usage", OrganizationViewSet, "usage", get="usage"),
    _api(
        "api/v1/organization/invitations", InvitationViewSet, "invitations",
        get="list", post="create",
    ),
    _api(
        "api/v1/organization/invitations/<str:invitation_id>", InvitationViewSet, "invitation",
        delete="destroy",
    ),
    _api(
        "api/v1/organization/invitations/<str:invitation_id>/resend", InvitationViewSet,
        "resend-invitation", post="resend",
    ),
    _api("api/v1/invitations/<str:token>", InvitedViewSet, "invited", get="retrieve"),
    _api(
        "api/v1/invitations/<str:token>/accept", AcceptanceViewSet, "accept-invitation",
        post="accept",
    ),
    _api(
        "api/v1/organization/api-keys", ApiKeyViewSet, "api-keys", get="list", post="create"
    ),
    _api(
        "api/v1/organization/api-keys/<str:key_id>", ApiKeyViewSet, "api-key",
        patch="partial_update", delete="destroy",
    ),
    _api(
        "api/v1/organization/api-keys/<str:key_id>/rotate", ApiKeyViewSet, "rotate-api-key",
        post="rotate",
    ),
    _api("api/v1/organization/permissions", BelongingViewSet, "permissions", get="permissions"),
    _api("api/v1/organization/transfer", BelongingViewSet, "transfer", post="transfer"),
    _api("api/v1/organization/leave", BelongingViewSet, "leave", post="leave"),
    _api("api/v1/organization/restore", RestoreViewSet, "restore", post="restore"),
    _api("api/v1/organization/members", MemberViewSet, "members", get="list"),
    _api(
        "api/v1/organization/members/<str:member_id>", MemberViewSet, "member",
        patch="partial_update", delete="destroy",
    ),
    _api("api/v1/organizations", FoundingViewSet, "organizations", post="create"),
    _api(
        "api/v1/me", MeViewSet, "me",
        get="retrieve", patch="partial_update", delete="destroy",
    ),
    _api("api/v1/me/email/confirm", MeViewSet, "confirm-email", post="confirm_email"),
    _api("api/v1/me/organizations", MeViewSet, "my-organizations", get="organizations"),
    _api("api/v1/organization/audit-log", AuditViewSet, "audit-log", get="list"),
    _api("api/v1/operations", OperationViewSet, "operations", get="list"),
    _api(
        "api/v1/operations/<str:operation_id>", OperationViewSet, "operation", get="retrieve"
    ),
    _api("api/v1/collections", CollectionViewSet, "collections", get="list", post="create"),
    _api(COLLECTION, CollectionViewSet, "collection", get="retrieve", delete="destroy"),
    _api(f"{COLLECTION}/indexes", IndexViewSet, "indexes", get="list", post="create"),
    _api(f"{COLLECTION}/indexes/<str:name>", IndexViewSet, "index", delete="destroy"),
    _api(DOCUMENTS, DocumentViewSet, "documents", get="list", post="create"),
    _api(f"{COLLECTION}/query", QueryViewSet, "query", post="query"),
    _api(f"{COLLECTION}/count", QueryViewSet, "count", post="count"),
    _api(f"{COLLECTION}/distinct", QueryViewSet, "distinct", post="distinct"),
    _api(f"{COLLECTION}/aggregate", QueryViewSet, "aggregate", post="aggregate"),
    _api(f"{COLLECTION}/explain", QueryViewSet, "explain", post="explain"),
    _api(f"{COLLECTION}/bulk", BulkViewSet, "bulk", post="bulk"),
    _api(f"{COLLECTION}/update-many", BulkViewSet, "update-many", post="update_many"),
    _api(f"{COLLECTION}/delete-many", BulkViewSet, "delete-many", post="delete_many"),
    _api(f"{COLLECTION}/export", TransferViewSet, "export", get="export"),
    _api(f"{COLLECTION}/import", TransferViewSet, "import", post="import_documents"),
    _api(f"{COLLECTION}/schema", SchemaViewSet, "schema", get="retrieve", put="update"),
    _api(f"{COLLECTION}/schema/check", SchemaViewSet, "check-schema", post="check"),
    # An id may hold any character, a slash or a line break included.
    re_path(
        r"^api/v1/collections/(?P<collection>[^/]+)/documents/(?P<document_id>(?s:.+))$",
        DocumentViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
        name="document",
    ),
    path("api/v1/openapi.json", DocumentView.as_view(), name="openapi"),
    path("api/docs", DocumentationPage.as_view(url_name="openapi"), name="docs"),
    _api("org/create", SignUpLegacyViewSet, "legacy-create", post="create"),
    _api("org/get", GetLegacyViewSet, "legacy-get", get="retrieve"),
    _api("org/update", ManageLegacyViewSet, "legacy-update", put="update"),
    _api("org/delete", ManageLegacyViewSet, "legacy-delete", delete="destroy"),
    _api("admin/login", LogInLegacyViewSet, "legacy-login", post="login"),
    path("admin/", admin.site.urls),
]  # fmt: skip
# Django tries one after the other: what is asked for most comes first.
urlpatterns.sort(key=_rank)
