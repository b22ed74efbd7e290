"""The API document and its page; they are read, and that is all."""

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

READING = ["get", "head"]


class DocumentView(SpectacularJSONAPIView):
    """The OpenAPI document."""

    http_method_names = READING


class DocumentationPage(SpectacularSwaggerView):
    """The page on which people read it."""

    http_method_names = READING
