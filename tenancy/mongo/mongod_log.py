"""What a mongod wrote about its own end."""

import json
from pathlib import Path
from typing import Any

# Lines that only say that something before them was fatal.
# https://github.com/mongodb/mongo/blob/v6.0/src/mongo/util/assert_util.cpp
ECHOES = frozenset({23089, 23090, 23091, 23092, 6384300, 50944})


def last_error(log: Path, start: int) -> str:
    """Return the last error in the log after byte `start`, else its last line; '' if empty."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            lines = [line.decode(errors="replace").strip() for line in file]
    except OSError:
        return ""
    errors = [text for text in map(_error_in, reversed(lines)) if text]
    return next(iter(errors), "") or next((line for line in reversed(lines) if line), "")


def _error_in(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if entry.get("s") not in {"E", "F"} or entry.get("id") in ECHOES:
        return ""
    reason = _reason_in(entry.get("attr", {}))
    text = f"{entry['msg']}: {reason}" if reason else str(entry["msg"])
    return text.rstrip(" .,:")


def _reason_in(attributes: dict[str, Any]) -> str:
    """Return the text of the storage engine's message, or else of the error."""
    for name, text in (("message", "msg"), ("error", "errmsg")):
        value = attributes.get(name)
        if isinstance(value, dict) and text in value:
            return str(value[text])
    return str(attributes.get("reason") or attributes.get("error") or "")
