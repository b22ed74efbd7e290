"""What schemathesis has to be told: bodies of lines, keys of repeats, codes of problems."""

import itertools
import json
import re
from typing import Any

import schemathesis

KEY = "Idempotency-Key"
# One of so many requests may repeat the key of another; all others could only be told so.
REPEATS = 5
_numbers = itertools.count(1)


@schemathesis.serializer("application/x-ndjson")
def write_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return one line for each item of a list; a text as it is."""
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode()


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say of a body of lines what each line is."""
    for item in raw_schema["paths"].values():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for described in content.values():
            if line := described["schema"].pop("x-lines", None):
                described["schema"] = {"type": "array", "items": line}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Any, **_: Any) -> None:
    """Make most keys of repeats new ones."""
    number, key = next(_numbers), (case.headers or {}).get(KEY)
    is_good = isinstance(key, str) and re.fullmatch("[ -~]{1,240}", key)
    if is_good and number % REPEATS:
        case.headers[KEY] = f"{key}{number}"


@schemathesis.check
def named_code(context: Any, response: Any, case: Any) -> None:
    """Hold a problem's code against those that the document names for its status."""
    said = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "x-codes" in said and response.headers["content-type"] == ["application/problem+json"]:
        code = response.json()["code"]
        assert code in said["x-codes"], f"The code {code} is not named for {response.status_code}."
