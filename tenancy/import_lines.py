"""What the lines of an import say: documents, what is wrong, and what is passed over."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tenancy.exceptions import (
    IdempotencyKeyReused,
    InvalidInput,
    MalformedJson,
    PayloadTooLarge,
    TenancyError,
    ValidationFailed,
)
from tenancy.mongo import extended_json
from tenancy.ndjson import LINE_MAX_BYTES, Line

FOOTER_START = re.compile(rb'\s*\{\s*"_export"\s*:')
_PLACE = re.compile(r"\(line \d+, (column \d+)\)")


@dataclass
class Item:
    """A line that is to be stored, or is refused; `digest` is of all lines up to this one.

    `skipped` counts the lines before it that hold no document.
    """

    line: int
    digest: str
    skipped: int
    size: int = 0
    fields: dict[str, Any] = field(default_factory=dict)
    error: TenancyError | None = None


class ImportLines:
    """The lines of an import as items, from the line behind `done` on.

    The lines up to there must be those of before: `done_digest` is their digest. What follows need
    not: so what was cut off, or had a line that could not be stored, can be sent again, mended.
    """

    def __init__(
        self, lines: Iterator[Line], *, max_bytes: int, done: int, done_digest: str, skipped: int
    ) -> None:
        self._lines = lines
        self._max_bytes = max_bytes
        self._done = done
        self._done_digest = done_digest
        self._all = hashlib.sha256()
        self._footer = _Footer()
        self.skipped = skipped
        self.number = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield an item for each line that is not passed over.

        Raises IdempotencyKeyReused if the first lines are others, and CutOff if the last one is
        not whole.
        """
        for line in self._lines:
            self.number = line.number
            content = line.content
            self._all.update((content or b"") + b"\n")
            if line.number <= self._done:
                self._footer.see(content)
                self._compare()
                continue
            item = self._read(line)
            if item is not None:
                yield item
        if self.number < self._done:
            raise IdempotencyKeyReused

    @property
    def has_footer(self) -> bool:
        """Whether the last line that is not blank was the last one of an export."""
        return self._footer.is_last

    def _compare(self) -> None:
        if self.number == self._done and self._all.hexdigest() != self._done_digest:
            raise IdempotencyKeyReused

    def _read(self, line: Line) -> Item | None:
        item = Item(line.number, self._all.hexdigest(), self.skipped, len(line.content or b""))
        try:
            if self._footer.check(line.content):
                self.skipped += 1
                return None
            item.fields = self._decode(line)
        except InvalidInput as error:
            item.error = error
        return item

    def _decode(self, line: Line) -> dict[str, Any]:
        if line.content is None:
            raise PayloadTooLarge(f"The line is longer than {LINE_MAX_BYTES:,} bytes.")
        try:
            value = extended_json.loads(line.content)
        except MalformedJson as error:
            if not line.is_ended:
                raise CutOff(f"The body ends within line {line.number}.") from error
            said = _PLACE.sub(r"(\1)", error.detail).replace("The body", "The line")
            raise MalformedJson(said) from error
        return extended_json.decode_document(value, max_bytes=self._max_bytes)


class CutOff(Exception):
    """The body ends in the middle of a line: it is not all that was meant."""


class _Footer:
    """Holds the last line of an export, `{"_export": {...}}`, against the lines before it."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()
        self.is_last = False

    def see(self, content: bytes | None) -> None:
        """Count a line."""
        self._count_in(content, is_footer=_footer_in(content) is not None)

    def check(self, content: bytes | None) -> bool:
        """Return whether a line holds no document. Raises ValidationFailed if it denies others."""
        if content is not None and not content.strip():
            return True
        footer = _footer_in(content)
        before = (self._count, self._digest.hexdigest()) if footer else (0, "")
        self._count_in(content, is_footer=footer is not None)
        if footer is None:
            return False
        said = footer["_export"]
        if not isinstance(said, dict) or "error" in said:
            raise ValidationFailed("The export was broken off: documents are missing.")
        count, digest = said.get("count", before[0]), said.get("sha256", before[1])
        if (count, digest) != before:
            raise ValidationFailed(
                f"The export had {count} documents; these are {before[0]}, or not the same."
            )
        return True

    def _count_in(self, content: bytes | None, *, is_footer: bool) -> None:
        if is_footer:
            self._count, self._digest = 0, hashlib.sha256()  # another export may follow
            self.is_last = True
        elif content is None or content.strip():
            self.is_last = False
            self._count += 1
            self._digest.update((content or b"") + b"\n")


def _footer_in(content: bytes | None) -> dict[str, Any] | None:
    """Return the object in the last line of an export, or None: it has one field and no other."""
    if content is None or not FOOTER_START.match(content):
        return None
    try:
        line: dict[str, Any] = extended_json.loads(content)
    except InvalidInput:
        return None
    return line if len(line) == 1 else None
