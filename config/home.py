"""What the product says of itself at its root."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.roles import PUBLIC
from tenancy.api.schema import answers
from tenancy.api.viewsets import ApiViewSet

LINKS = {
    "api": "/api/v1",
    "docs": "/api/docs",
    "openapi": "/api/v1/openapi.json",
    "admin": "/admin/",
    "ready": "/readyz",
}


@extend_schema(tags=["health"], auth=[], responses=answers(s200={"type": "object"}))
class HomeViewSet(ApiViewSet):
    """The root, and the health route that clients of many small services know."""

    authentication_classes = []
    required = {"home": PUBLIC, "health": PUBLIC}

    @extend_schema(summary="Name, version and links")
    def home(self, request: Request) -> Response:
        """Answer with the name, the version and where to go on."""
        return Response({"name": "Tenantry", "version": settings.VERSION, "links": LINKS})

    @extend_schema(summary="Is the process alive?")
    def health(self, request: Request) -> Response:
        """Answer as long as the process does."""
        return Response({"status": "healthy"})
