"""JSON in and out: checked on the way in, lossless Extended JSON on the way out."""

import re
from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpResponse
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tenancy.exceptions import PayloadTooLarge, UnsupportedMediaType
from tenancy.mongo import extended_json

# What a body may have where a view does not say `body_max_bytes`: names, passwords, settings. Most
# of that is read before anybody knows who asks.
BODY_MAX_BYTES = 65_536
# Queries, pipelines and schemas have 64 KiB of JSON; it may be written with generous spaces.
QUERY_BODY_MAX_BYTES = 262_144
# A document of the largest size, written with long wrappers and generous spaces.
DOCUMENT_BODY_MAX_BYTES = 8 * 1_048_576
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)


class Negotiation(DefaultContentNegotiation):
    """DRF's, with a short way for those who take anything, or say what they get anyway."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return a renderer and its media type. Raises NotAcceptable."""
        first = renderers[0]
        # A header that names nothing is one that was not sent: RFC 9110, section 12.5.1.
        accepted = request.META.get("HTTP_ACCEPT", "").strip(" \t,") or "*/*"
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
        """Return plain Python.

        Raises UnsupportedMediaType for what is not UTF-8 as it is, PayloadTooLarge, MalformedJson,
        InvalidDocument.
        """
        context = parser_context or {}
        _check_coding(media_type or "", context.get("request"))
        return extended_json.loads(_read(stream, context))


def _check_coding(media_type: str, request: Request | None) -> None:
    """Raise UnsupportedMediaType for JSON that is compressed, or in another encoding."""
    charset = _CHARSET.search(media_type)
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("JSON is sent in UTF-8.")
    coding = request.headers.get("Content-Encoding", "identity") if request else "identity"
    if coding.strip().lower() not in {"identity", ""}:
        raise UnsupportedMediaType("JSON is sent as it is, without Content-Encoding.")


def _read(stream: IO[Any], context: Mapping[str, Any]) -> bytes:
    """Return the body; of one that is too large no more than it takes to know that."""
    view, request = context.get("view"), context.get("request")
    most = getattr(view, "body_max_bytes", BODY_MAX_BYTES)
    declared = str(request.META.get("CONTENT_LENGTH") or "") if request else ""
    is_larger = declared.isdecimal() and int(declared[:20]) > most
    raw = b"" if is_larger else stream.read(most + 1)
    if is_larger or len(raw) > most:
        hint = getattr(view, "body_hint", "")
        raise PayloadTooLarge(f"The body is larger than {most:,} bytes.", hint=hint)
    return bytes(raw)


class MergePatchParser(JsonParser):
    """The same for `application/merge-patch+json`, RFC 7396."""

    media_type = "application/merge-patch+json"


def wants_plain(request: Request | None) -> bool:
    """Return whether an answer is for people: `?types=plain`."""
    return request is not None and request.query_params.get("types") == "plain"


def answer_of(request: Request, body: Any, headers: Mapping[str, str]) -> HttpResponse:
    """Return the answer 200 that `JsonRenderer` would make, without the way there.

    For what is asked for most; only then is the detour of DRF's responses worth avoiding.
    """
    content = extended_json.dumps(body, plain=wants_plain(request))
    return HttpResponse(content, content_type=JsonRenderer.media_type, headers=headers)


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
