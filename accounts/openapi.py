"""How the OpenAPI document names the credentials; imported when the app is ready."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

BEARER = "bearer"
API_KEY = "apiKey"


class CredentialScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer` with an access token or an API key, or `X-API-Key` with a key."""

    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = [BEARER, API_KEY]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Return what a request needs: one of the two."""
        return [{BEARER: []}, {API_KEY: []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Return the security schemes."""
        bearer = {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token, or an API key `tk_…`. What concerns one's own "
            "account takes access tokens alone.",
        }
        key = {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "An API key `tk_…`, in the place of `Authorization`; both is 401.",
        }
        return [bearer, key]
