"""The service's WSGI application, which notes on the way how much CPU each part of it takes.

Only the benchmark serves it: see `request_profile`. What was noted is at `PATH`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from benchmarks.time_accounts import calibrate, in_request, install, spent
from config.wsgi import application as _application

PATH = "/__profile__"
_say = orjson.dumps  # before it is a boundary
_overhead = calibrate()
_answered: list[None] = []
install()


class _Body:
    """What an application answers; what is left to do when it is sent is Django's, too."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with in_request():
            whole = list(self._answer)
        return iter(whole)

    def close(self) -> None:
        with in_request():
            self._answer.close()


def report() -> dict[str, Any]:
    """Return, since the start: microseconds of each part and of the process, and requests."""
    parts, in_wsgi = spent(_overhead)
    process = time.process_time_ns() / 1000
    return {"parts": parts, "in_wsgi": in_wsgi, "process": process, "requests": len(_answered)}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request and note what it took; or say what was noted."""
    if environ.get("PATH_INFO") == PATH:
        body = _say(report())
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    _answered.append(None)
    with in_request():
        answer = _application(environ, start_response)
    return _Body(answer) if hasattr(answer, "close") else answer
