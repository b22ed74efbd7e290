"""Import and export of one collection, as NDJSON."""

import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.api import schema_transfer as schema
from tenancy.api.idempotent import REPLAYED, digest_of
from tenancy.api.json import JsonRenderer, wants_plain
from tenancy.api.lists import filter_of_parameters, refuse_parameters_of_lists
from tenancy.api.once import find_record
from tenancy.api.requests import actor_of, check_parameters, choice_parameter
from tenancy.api.views import VIOLATIONS, DataViewSet
from tenancy.exceptions import MalformedJson, UnsupportedMediaType
from tenancy.exports import Export, open_export
from tenancy.imports import Manner, Target, import_lines
from tenancy.lifecycle import declare_collection
from tenancy.mongo.extended_json import dumps_lines
from tenancy.ndjson import Line, Read, at_most, chunks_of, gunzipped, lines_of, whole
from tenancy.slots import SLOTS, Slot

NDJSON = "application/x-ndjson"
LINES_TYPES = frozenset({NDJSON, "application/ndjson", "application/jsonl"})
EXPORT_PARAMETERS = ("filter", "footer", "types")
GZIP_NAMES = frozenset({"gzip", "x-gzip"})
# Fast rather than small: an export waits for it. 31: the largest window, in a gzip container.
GZIP_LEVEL, GZIP_WINDOW = 3, 31
_REFUSES_GZIP = re.compile(r"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")
YES_NO = {"1": True, "true": True, "0": False, "false": False}


class NdjsonRenderer(BaseRenderer):
    """What an export is: chosen by content negotiation, and rendered by the export itself."""

    media_type = NDJSON
    format = "ndjson"
    charset = None

    def render(self, data: Any, *_: Any) -> bytes:
        """Render what is no stream, such as the answer to HEAD."""
        return JsonRenderer().render(data)


class Gzipped:
    """A stream packed with gzip. One that ends with an error has no end: so tools notice, too."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._chunks = self._run()

    def __iter__(self) -> Iterator[bytes]:
        """Return the packed chunks."""
        return self._chunks

    def close(self) -> None:
        """Close the stream that is packed."""
        self._export.close()

    def _run(self) -> Iterator[bytes]:
        pack = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
        for lines in self._export:
            yield pack.compress(lines) + pack.flush(zlib.Z_SYNC_FLUSH)
        if self._export.error is None:
            yield pack.flush()


@extend_schema(tags=["documents"])
class TransferViewSet(DataViewSet):
    """Streams of documents in and out."""

    required = {
        "export": "documents.read",
        "import_documents": "documents.write",
    }

    def get_renderers(self) -> list[Any]:
        """Let an export be asked for as what it is."""
        usual: list[Any] = super().get_renderers()
        return [NdjsonRenderer(), *usual] if self.action == "export" else usual

    @extend_schema(**schema.EXPORT)
    def export(self, request: Request, collection: str) -> HttpResponseBase:
        """Stream every document of one snapshot that a filter finds."""
        refuse_parameters_of_lists(request, EXPORT_PARAMETERS)
        query = filter_of_parameters(request, EXPORT_PARAMETERS)
        export = open_export(
            self.tenant.id, collection, by=actor_of(request), query=query,
            footer=_is_yes(request, "footer"),
            render=partial(dumps_lines, plain=wants_plain(request)),
        )  # fmt: skip
        export.ask_first(self.allowed_later())
        if request.method == "HEAD":
            export.close()
        is_packed = _takes_gzip(request)
        response = StreamingHttpResponse(
            Gzipped(export) if is_packed else export, content_type=NDJSON
        )
        if is_packed:
            response["Content-Encoding"] = "gzip"
        response["Content-Disposition"] = f'attachment; filename="{collection}.ndjson"'
        response["Cache-Control"] = "no-store, no-transform"
        patch_vary_headers(response, ["Accept-Encoding"])
        return response

    @extend_schema(**schema.IMPORT)
    def import_documents(self, request: Request, collection: str) -> Response:
        """Store a stream of documents."""
        check_parameters(request, "mode", "on_error", "dry_run")
        manner = Manner(
            replace=choice_parameter(request, "mode", ("insert", "upsert")) == "upsert",
            skip=choice_parameter(request, "on_error", ("stop", "skip")) == "skip",
            dry_run=_is_yes(request, "dry_run"),
            needs_footer=not (_is_sized(request) or _is_packed(request)),
        )
        lines_of_chunks = _find_reading(request)
        record = find_record(self, self.tenant, digest_of(request, None, but=("on_error",)))
        chunks = whole(chunks_of(_reader(request)), _length(request))
        slot = SLOTS.take(self.tenant.id)  # so whoever sends nothing yet sits in nobody's seat
        try:
            check = _going_on(slot, self.allowed_later())
            lines = lines_of_chunks(_begun(request, _checked(chunks, check)))
            if not manner.dry_run and collection not in self.tenant.collections:
                declare_collection(self.tenant.id, collection, by=actor_of(request))
            target = Target(self.tenant.id, collection, actor_of(request))
            report, is_repeat = import_lines(target, lines, manner, record, check)
        finally:
            slot.give_back()
        response = Response(report, status=207 if report["failed"] else 200)
        if report["warned"]:
            response[VIOLATIONS] = str(report["warned"])
        if is_repeat:
            response[REPLAYED] = "true"
        return response


def _is_yes(request: Request, name: str) -> bool:
    return YES_NO[choice_parameter(request, name, YES_NO) or "false"]


def _takes_gzip(request: Request) -> bool:
    wanted = request.headers.get("Accept-Encoding", "").lower()
    return "gzip" in wanted and not _REFUSES_GZIP.search(wanted)


def _find_reading(request: Request) -> Callable[[Iterator[bytes]], Iterator[Line]]:
    """Return what makes lines of the body's bytes. Raises UnsupportedMediaType."""
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if kind not in LINES_TYPES:
        raise UnsupportedMediaType(f"Send the lines with Content-Type: {NDJSON}.")
    if not _is_packed(request) and _coding(request) != "identity":
        raise UnsupportedMediaType("The Content-Encoding of an import is gzip or identity.")

    def read(chunks: Iterator[bytes]) -> Iterator[Line]:
        one_part = not _is_sized(request)
        plain = gunzipped(chunks, one_part=one_part) if _is_packed(request) else chunks
        return lines_of(at_most(plain, settings.TENANCY_IMPORT_MAX_BYTES))

    return read


def _coding(request: Request) -> str:
    return str(request.headers.get("Content-Encoding", "identity")).strip().lower()


def _is_packed(request: Request) -> bool:
    return _coding(request) in GZIP_NAMES


def _is_sized(request: Request) -> bool:
    return bool(request.META.get("CONTENT_LENGTH"))


def _going_on(slot: Slot, check_allowed: Callable[[], None]) -> Callable[[], None]:
    """Return what notes that an import gets on, and raises if it may not."""

    def check() -> None:
        slot.moved()
        check_allowed()

    return check


def _checked(chunks: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the chunks, each unless the import may not go on."""
    for chunk in chunks:
        check()
        yield chunk


def _begun(request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return the chunks once the first has come. Raises MalformedJson if the body has none."""
    first = next(chunks, b"")
    if not first and "Transfer-Encoding" in request.headers:
        raise MalformedJson("No chunk of the body could be read.")
    return chain([first], chunks)


def _reader(request: Request) -> Read:
    """Return what reads the body; Django would see none where its length is not given."""
    plain, environ = request._request, request.META  # noqa: SLF001 -- DRF would parse it
    if not environ.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated"):
        read: Read = environ["wsgi.input"].read
        return read
    return plain.read


def _length(request: Request) -> int:
    """Return how long the body is said to be; 0 if not. Raises MalformedJson if chunked, too.

    granian gives on no more than the Transfer-Encoding of the two. And of a chunked body that is
    broken off it gives what came, as if that were all: `imports.Manner.needs_footer`.
    """
    said = request.META.get("CONTENT_LENGTH") or ""
    if said and "Transfer-Encoding" in request.headers:
        raise MalformedJson("A body has a Content-Length or a Transfer-Encoding, never both.")
    return int(said) if said.isdecimal() else 0
