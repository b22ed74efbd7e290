"""JSON in and out: checked on the way in, lossless Extended JSON on the way out."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tenancy.exceptions import PayloadTooLarge
from tenancy.mongo import extended_json

# A document of the largest size, written with long wrappers and generous spaces.
BODY_MAX_BYTES = 8 * 1_048_576


class Negotiation(DefaultContentNegotiation):
    """DRF's, with a short way for those who take anything, or say what they get anyway."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return a renderer and its media type. Raises NotAcceptable."""
        first = renderers[0]
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        if format_suffix is None and accepted in ("*/*", first.media_type):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)


class JsonParser(BaseParser):
    """Parse a body as checked raw JSON; what it means is for the view to say."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return plain Python. Raises MalformedJson, InvalidDocument or PayloadTooLarge."""
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise PayloadTooLarge(f"The body is larger than {BODY_MAX_BYTES:,} bytes.")
        return extended_json.loads(raw)


class MergePatchParser(JsonParser):
    """The same for `application/merge-patch+json`, RFC 7396."""

    media_type = "application/merge-patch+json"


def wants_plain(request: Request | None) -> bool:
    """Return whether an answer is for people: `?types=plain`."""
    return request is not None and request.query_params.get("types") == "plain"


class JsonRenderer(BaseRenderer):
    """Render through orjson: without loss, or for people where the request says `?types=plain`.

    A view that answers with documents needs no more than `"types"` among its `check_parameters`.
    """

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body; none for an answer without data."""
        if data is None:
            return b""
        request = (renderer_context or {}).get("request")
        return extended_json.dumps(data, plain=wants_plain(request))
