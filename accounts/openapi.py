"""How the OpenAPI document describes routes and names the credentials."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from accounts.roles import SIGNED_IN

BEARER = "bearer"
API_KEY = "apiKey"


class RouteSchema(AutoSchema):
    """Takes what a route says of its answers as it is: a list is an object with `data` in it."""

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False

    def get_operation_id(self) -> str:
        """Return the name of the operation; a list is called one."""
        name: str = super().get_operation_id()
        is_list = getattr(self.view, "action", None) == "list"
        return f"{name.removesuffix('_retrieve')}_list" if is_list else name


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
