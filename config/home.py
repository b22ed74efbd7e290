"""What the product says of itself at its root."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> JsonResponse:
    """Answer with the name, the version and where to go on."""
    links = {
        "api": "/api/v1",
        "docs": "/api/docs",
        "openapi": "/api/v1/openapi.json",
        "admin": "/admin/",
        "ready": "/readyz",
    }
    return JsonResponse({"name": "Tenantry", "version": settings.VERSION, "links": links})


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Answer as long as the process does."""
    return JsonResponse({"status": "healthy"})
