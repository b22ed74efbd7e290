"""Store the documents of a file."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandParser

from tenancy.answers import Ask
from tenancy.exceptions import ImportStopped
from tenancy.imports import Manner, Target, import_lines
from tenancy.lifecycle import declare_collection
from tenancy.management.bytes_progress import Advance, shown_progress
from tenancy.management.reporting import (
    Failed,
    Report,
    ReportingCommand,
    add_organization_argument,
    counted,
    find_organization,
)
from tenancy.mongo.once import Record
from tenancy.ndjson import chunks_of, gunzipped, lines_of

PROBLEMS_PRINTED = 20


class Command(ReportingCommand):
    """Import NDJSON into a collection; repeated after an interruption it goes on."""

    help = (
        "Store the documents of an NDJSON file, plain or .gz. Interrupted and repeated within 24 "
        "hours, it goes on where it was and stores nothing twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where to, what, and how."""
        add_organization_argument(parser)
        parser.add_argument("collection", help="It is made if it is not there.")
        parser.add_argument("file", help="An NDJSON file, or - for standard input.")
        parser.add_argument("--mode", choices=("insert", "upsert"), default="insert")
        parser.add_argument("--on-error", choices=("stop", "skip"), default="stop")
        parser.add_argument("--dry-run", action="store_true", help="Only look.")
        parser.add_argument(
            "--key", help="Names the import; by default the file does, as it is now. "
            "What is read from standard input has none."
        )  # fmt: skip

    def act(self, *, organization: str, collection: str, file: str, **options: Any) -> Report:
        """Import it. The report fails if a line did."""
        row = find_organization(organization)
        manner = Manner(
            replace=options["mode"] == "upsert",
            skip=options["on_error"] == "skip",
            dry_run=options["dry_run"],
        )
        key = options["key"] or _key_of(file)
        record = None
        if key is not None:
            asked = f"{collection} {options['mode']} {options['on_error']}"
            record = Record(
                row.pk, Ask(self.actor, key, hashlib.sha256(asked.encode()).hexdigest())
            )
        with _opened(file) as stream, _progress(file) as advance:
            if not manner.dry_run:
                declare_collection(row.pk, collection, by=self.actor)
            target = Target(row.pk, collection, self.actor)
            chunks = _told(chunks_of(stream.read), advance)
            lines = lines_of(gunzipped(chunks) if file.endswith(".gz") else chunks)
            try:
                done, is_repeat = import_lines(target, lines, manner, record)
            except ImportStopped as error:
                stopped = error.extra["import"] | {"problems": [error.extra["problem"]]}
                return Report(stopped, _text(stopped), failure=error.detail)
        failure = f"{counted(done['failed'], 'line')} failed." if done["failed"] else ""
        return Report(done, _text(done, is_repeat=is_repeat), failure=failure)


def _key_of(file: str) -> str | None:
    """Return what tells one file, as it is now, from others."""
    if file == "-":
        return None
    try:
        path = Path(file).resolve(strict=True)
        facts = path.stat()
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}.") from error
    text = f"{path} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}.") from error
    with stream:
        yield stream


def _progress(file: str) -> Any:
    total = None if file == "-" else Path(file).stat().st_size
    return shown_progress("import", total, in_bytes=True)


def _told(chunks: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    for chunk in chunks:
        advance(len(chunk))
        yield chunk


def _text(done: dict[str, Any], *, is_repeat: bool = False) -> str:
    problems = [
        f"line {each['line']}: {each['code']}: {each['detail']}"
        + "".join(f" ({error['pointer']})" for error in each["errors"] if error["pointer"])
        for each in done["problems"][:PROBLEMS_PRINTED]
    ]
    counts = ", ".join(f"{done[name]:,} {name}" for name in ("inserted", "replaced", "failed"))
    said = f"{done['lines']:,} lines: {counts}."
    if is_repeat:
        said += " All had been done before; to import it once more, give it another --key."
    return "\n".join([*problems, said])
