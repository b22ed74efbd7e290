"""POST /admin/login: the sign-in that clients of many small services know."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema
from accounts.api.auth import device_of, represent_tokens
from accounts.api.legacy import LegacyViewSet
from accounts.api.legacy_input import read_given
from accounts.api.serializers import ALIASES, CredentialsWithCode
from accounts.login import log_in
from accounts.roles import PUBLIC
from tenancy.api.requests import validated


@extend_schema(tags=["compatibility"])
class LogInLegacyViewSet(LegacyViewSet):
    """POST /admin/login: no token."""

    authentication_classes = []
    required = {"login": PUBLIC}
    successor = "/api/v1/auth/login"

    @extend_schema(**schema.LEGACY_LOGIN)
    def login(self, request: Request) -> Response:
        """Sign an admin in."""
        given = read_given(request, query=False, aliases=ALIASES)
        with given.pointing():
            form = validated(CredentialsWithCode, given.fields)
        signed_in = log_in(
            form["email"], form["password"], organization=None, device=device_of(request),
            code=form.get("code"),
        )  # fmt: skip
        membership = signed_in.membership
        return Response(
            {
                **represent_tokens(signed_in),
                "admin_id": str(membership.user_id),
                "organization_id": str(membership.organization_id),
                "organization_name": membership.organization.name,
                "email": membership.user.email,
            }
        )
