"""The public keys of access tokens: for services that verify them by themselves."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema_sessions as schema
from accounts.roles import PUBLIC
from accounts.signing import key_pairs
from tenancy.api.requests import check_parameters
from tenancy.api.viewsets import ApiViewSet
from tenancy.exceptions import NotFound

# A key is published before it signs if whoever rotates takes their time: see rotate_signing_key.
CACHE_SECONDS = 300


@extend_schema(tags=["identity"])
class SigningKeyViewSet(ApiViewSet):
    """The JSON Web Key Set, RFC 7517."""

    authentication_classes = []
    required = {"list": PUBLIC}

    @extend_schema(**schema.SIGNING_KEYS)
    def list(self, request: Request) -> Response:
        """Return the public keys; there are none where tokens are signed with a secret."""
        check_parameters(request)
        keys = [pair.jwk for pair in key_pairs()]
        if not keys:
            raise NotFound("Tokens of this service are not signed with a key pair.")
        headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}"}
        return Response({"keys": keys}, headers=headers)
