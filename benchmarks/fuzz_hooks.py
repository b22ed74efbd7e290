"""What schemathesis has to be told: how a body of lines is sent."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return one line for each item of a list; a text as it is."""
    if isinstance(value, bytes | str):
        return value if isinstance(value, bytes) else value.encode(errors="surrogatepass")
    items = value if isinstance(value, list) else [value]
    return "".join(json.dumps(item) + "\n" for item in items).encode()
