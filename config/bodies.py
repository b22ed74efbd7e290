"""Bodies are here before their requests take a seat: whoever sends slowly keeps nobody out.

Not long imports, which are read line by line beside the seats, and not what is larger than any that
is read: it is refused without being looked at.
"""

import io
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.conf import settings

from tenancy import lanes
from tenancy.admission import BODY_MAX_BYTES, Places
from tenancy.exceptions import MalformedJson, Overloaded, PayloadTooLarge, TenancyError
from tenancy.middleware import address_in

logger = logging.getLogger("tenantry.web")

Environ = dict[str, Any]

API = "/api/"
IMPORT = re.compile(r"/api/v1/collections/[^/]+/import")
# The largest that a route of the API reads: a bulk. Pages have DATA_UPLOAD_MAX_MEMORY_SIZE.
API_MAX_BYTES = 16 * 1_048_576
# A larger one waits for its turn in a temporary file.
MEMORY_MAX_BYTES = 1_048_576
DRAIN_MAX_BYTES = 1_048_576
CHUNK_BYTES = 65_536
CUT_OFF = "The body ends before its Content-Length."


class Bodies:
    """The bodies that are on their way in one process, so many at once."""

    def __init__(self, places: int) -> None:
        self.places = Places(places)

    def fetch(self, environ: Environ) -> TenancyError | None:
        """Have the whole body here, in place of what it came by. Return what is against it."""
        length = environ["CONTENT_LENGTH"]
        digits = length.lstrip("0") if length.isdecimal() else ""
        size = int(digits[:20] or 0)
        path = environ.get("PATH_INFO", "")
        is_api = path.startswith(API)
        most = API_MAX_BYTES if is_api else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if size > most and not is_api:
            self.drain(environ)
            return PayloadTooLarge(f"The body is larger than {most:,} bytes.")
        is_streamed = size > BODY_MAX_BYTES and _is_import(environ)
        if not 0 < size <= most or is_streamed:
            return None
        owner = address_in(environ)
        if not self.places.take(owner):
            lanes.stay_awake()  # its connection is closed when the server lets go of the body
            return Overloaded()
        try:
            body = _read(environ["wsgi.input"], size)
        except Overloaded as error:
            lanes.stay_awake()
            return error
        except (OSError, ValueError):  # who sent it has gone
            body = None
        finally:
            self.places.give_back(owner)
        if body is None:  # the rest of a form would be taken for all of it, and half a password
            return MalformedJson(CUT_OFF)
        environ["wsgi.input"], environ["tenantry.is_read"] = body, True
        return None

    def drain(self, environ: Environ) -> None:
        """Let go of a body: read what nobody has read of it, up to a bound, outside of all seats.

        The server closes a connection with an unread body: the client would lose its next request
        over it, and maybe this answer. Who has gone is no error; where too many send, nobody is
        waited for.
        """
        if "tenantry.is_read" in environ:
            environ["wsgi.input"].close()
            return
        if not environ.get("CONTENT_LENGTH", "").strip("0"):
            return
        owner = address_in(environ)
        if not self.places.take(owner, counts=False):
            return
        left = DRAIN_MAX_BYTES
        try:
            while left > 0 and (chunk := environ["wsgi.input"].read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
        except (OSError, ValueError):
            pass
        finally:
            self.places.give_back(owner)


def _is_import(environ: Environ) -> bool:
    is_post = environ.get("REQUEST_METHOD") == "POST"
    return is_post and IMPORT.fullmatch(environ.get("PATH_INFO", "")) is not None


def _read(stream: IO[bytes], size: int) -> IO[bytes] | None:
    """Return a body of so many bytes, or None: it was broken off. Raises Overloaded: no room."""
    if size > BODY_MAX_BYTES:
        lanes.stand_aside()
    if size <= MEMORY_MAX_BYTES:
        body = stream.read(size)
        return io.BytesIO(body) if len(body) == size else None
    with _room_on_disk():
        kept = tempfile.TemporaryFile()  # noqa: SIM115 -- gone with the request
    try:
        left = size
        while left and (chunk := stream.read(min(left, MEMORY_MAX_BYTES))):
            with _room_on_disk():
                kept.write(chunk)
            left -= len(chunk)
        kept.seek(0)
    except BaseException:
        kept.close()
        raise
    if not left:
        return kept
    kept.close()
    return None


@contextmanager
def _room_on_disk() -> Iterator[None]:
    """Raise Overloaded where the machine has no room for a temporary file."""
    try:
        yield
    except OSError as error:
        logger.warning("A body of more than %d bytes has no room: %s", MEMORY_MAX_BYTES, error)
        raise Overloaded from error
