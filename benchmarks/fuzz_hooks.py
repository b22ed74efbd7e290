"""What schemathesis has to be told: tokens, what is there, bodies of lines, codes of problems."""

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.cli import EventHandler, handler
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import Status, events

from benchmarks.fuzz_places import USED_UP, Place, make_place

KEY = "Idempotency-Key"
# One of so many requests may repeat the key of another; all others could only be told so.
REPEATS = 5
# Of so many requests there is one for each known value that keeps what was made up in its place.
MADE_UP = 8
# In the place of a token until the request is sent; schemathesis.toml has it.
STAND_IN = "Bearer @token"
# Of a token that was good a moment ago.
REFUSED = {"not_authenticated", "token_expired", "token_revoked"}
METHODS = {"get", "post", "put", "patch", "delete"}
_numbers = itertools.count(1)
_places: dict[str, Place] = {}


@schemathesis.serializer("application/x-ndjson")
def write_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return one line for each item of a list; a text as it is."""
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode()


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say of a body of lines what each line is, and that all requests may have an id.

    The id gives requests that take nothing else something to differ in.
    """
    for item in raw_schema["paths"].values():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for described in content.values():
            if line := described["schema"].pop("x-lines", None):
                described["schema"] = {"type": "array", "items": line}
        for method in METHODS & item.keys():
            parameter = {"name": "X-Request-Id", "in": "header", "schema": {"type": "string"}}
            item[method].setdefault("parameters", []).append(parameter)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, **_: Any) -> None:
    """Put in the token and what is there; make most keys of repeats new ones."""
    number, headers = next(_numbers), case.headers or {}
    if isinstance(key := headers.get(KEY), str) and re.fullmatch("[ -~]{1,240}", key):
        headers[KEY] = f"{key}{number}" if number % REPEATS else key
    label = case.operation.label
    if label not in _places:
        _places[label] = make_place(int(os.environ["FUZZ_PORT"]), label)
    place = _places[label]
    if headers.get("Authorization") == STAND_IN:
        headers["Authorization"] = f"Bearer {place.token}"
    _put_known(case, place, number % MADE_UP)


def _put_known(case: Any, place: Place, but: int) -> None:
    """Name what is there, where the request is not meant to be wrong; all but one."""
    parts = {
        ParameterLocation.PATH: case.path_parameters,
        ParameterLocation.QUERY: case.query,
        ParameterLocation.BODY: case.body,
    }
    for location, values in parts.items():
        is_wrong = case.meta is not None and case.meta.is_negative_at(location)
        if not is_wrong and isinstance(values, MutableMapping):
            for number, name in enumerate(sorted(values.keys() & place.known.keys())):
                values[name] = values[name] if number == but else place.find(name)


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: Any, response: Any) -> None:
    """Leave a place in which what the operation asks for has been used up."""
    label = case.operation.label
    if response.status_code < 300 and USED_UP.match(label):
        _places.pop(label, None)


@schemathesis.check
def named_code(context: Any, response: Any, case: Any) -> None:
    """Hold a problem's code against those that the document names for its status."""
    said = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "x-codes" in said and response.headers["content-type"] == ["application/problem+json"]:
        code = response.json()["code"]
        assert code in said["x-codes"], f"The code {code} is not named for {response.status_code}."


@schemathesis.check
def taken_token(context: Any, response: Any, case: Any) -> None:
    """Hold it against the service, or these hooks, when a token that is valid is refused."""
    place = _places.get(case.operation.label)
    if place and case.headers.get("Authorization") == f"Bearer {place.token}":
        is_refused = response.status_code == 401 and response.json()["code"] in REFUSED
        assert not is_refused, "A valid token was refused."


@handler()
class Counts(EventHandler[Any]):
    """Writes a line for each operation and phase: what was sent, how it was answered."""

    def handle_event(self, ctx: Any, event: events.EngineEvent) -> None:
        """Add a line to the file FUZZ_COUNTS."""
        if not isinstance(event, events.ScenarioFinished) or event.label is None:
            return
        line = {
            "operation": event.label,
            "phase": event.phase.value,
            "is_done": event.status in {Status.SUCCESS, Status.FAILURE, Status.SKIP},
            **_count(event.recorder),
        }
        with Path(os.environ["FUZZ_COUNTS"]).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _count(recorder: Any) -> dict[str, Any]:
    """Return what was sent, without what checks sent themselves, and how it was answered."""
    sent = [key for key, node in recorder.cases.items() if node.parent_id is None]
    found = [recorder.interactions.get(key) for key in sent]
    answered = [each.response for each in found if each and each.response]
    checks = recorder.checks.values()
    return {
        "sent": len(answered),
        "answers": Counter(str(each.status_code) for each in answered),
        "failed": sum(any(one.status is not Status.SUCCESS for one in each) for each in checks),
    }
