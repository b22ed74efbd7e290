"""How the OpenAPI document names the credentials; imported when the app is ready."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts.roles import SIGNED_IN

BEARER = "bearer"
API_KEY = "apiKey"


class CredentialScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer` with an access token or an API key, or `X-API-Key` with a key."""

    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = [BEARER, API_KEY]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Return what a request needs: one of the two; a token where a person is asked for."""
        view = auto_schema.view
        needed = getattr(view, "required", {}).get(getattr(view, "action", None))
        return [{BEARER: []}] if needed == SIGNED_IN else [{BEARER: []}, {API_KEY: []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Return the security schemes."""
        bearer = {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token; or an API key `tk_…`, wherever the header X-API-Key "
            "is taken, too.",
        }
        key = {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "An API key `tk_…`, in the place of `Authorization`; both is 401.",
        }
        return [bearer, key]
