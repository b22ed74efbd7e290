"""JSON in and out: checked on the way in, lossless Extended JSON on the way out."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from tenancy.exceptions import PayloadTooLarge
from tenancy.mongo import extended_json

# A document of the largest size, written with long wrappers and generous spaces.
BODY_MAX_BYTES = 8 * 1_048_576


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


class JsonRenderer(BaseRenderer):
    """Render through orjson."""

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
        return b"" if data is None else extended_json.dumps(data)
