"""Store the documents of a file."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandParser

from tenancy.answers import Ask
from tenancy.exceptions import (
    CollectionNotFound,
    IdempotencyKeyReused,
    ImportStopped,
    TenancyError,
)
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
from tenancy.names import check_collection_name
from tenancy.ndjson import chunks_of, gunzipped, lines_of

PROBLEMS_PRINTED = 20
KEY_CHARACTERS = 32
WRONG_USAGE = 2
OTHERS = (
    "The key was used for another collection or mode, or the lines that were imported before are "
    "not those of the file any more."
)


class Command(ReportingCommand):
    """Import NDJSON into a collection; repeated after an interruption it goes on."""

    help = (
        "Store the documents of an NDJSON file, plain or .gz. Interrupted, or stopped at a line "
        "that is mended then, and repeated within 24 hours, it goes on where it was and stores "
        "nothing twice."
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
            "--key", help="Names the import; by default the collection, the mode and the path of "
            "the file do. What is read from standard input has none."
        )  # fmt: skip

    def act(self, *, organization: str, collection: str, file: str, **options: Any) -> Report:
        """Import it. The report fails if a line did."""
        _check_collection(collection)
        row = find_organization(organization)
        manner = Manner(
            replace=options["mode"] == "upsert",
            skip=options["on_error"] == "skip",
            dry_run=options["dry_run"],
        )
        key = options["key"] or _key_of(file, collection, options["mode"])
        record = None
        if key is not None:
            asked = f"{collection} {options['mode']}"
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
                stopped = error.extra["import"] | {
                    "problems": [error.extra["problem"]], "key": key,
                }  # fmt: skip
                return Report(stopped, _text(stopped), failure=f"{error.detail}{_going_on(key)}")
            except TenancyError as error:
                raise _of_file(error) from error
        failure = f"{counted(done['failed'], 'line')} failed." if done["failed"] else ""
        return Report(done, _text(done, is_repeat=is_repeat), failure=failure)


def _check_collection(name: str) -> None:
    try:
        check_collection_name(name)
    except CollectionNotFound as error:
        raise Failed(error.detail, returncode=WRONG_USAGE) from error


def _key_of(file: str, collection: str, mode: str) -> str | None:
    """Return what tells the import of a file from others, whatever becomes of its lines.

    Lines behind those that are stored may be mended or added; other changes are refused.
    """
    if file == "-":
        return None
    try:
        path = Path(file).resolve(strict=True)
    except OSError as error:
        raise _unreadable(file, error) from error
    return hashlib.sha256(f"{collection} {mode} {path}".encode()).hexdigest()[:KEY_CHARACTERS]


def _unreadable(file: str, error: OSError) -> Failed:
    return Failed(f"{file} cannot be read: {error.strerror}.", returncode=WRONG_USAGE)


def _going_on(key: str | None) -> str:
    if key is None:
        return " Without a --key a repeat begins anew."
    return (
        " What came before it is stored. Mend the line, or take --on-error skip, and run the same "
        f"command within 24 hours: it goes on there (its --key is {key})."
    )


def _of_file(error: TenancyError) -> TenancyError:
    """Return an error as it is told to who gave a file and no request."""
    if isinstance(error, IdempotencyKeyReused):
        why = OTHERS if error.detail == IdempotencyKeyReused.default_detail else error.detail
        return IdempotencyKeyReused(f"{why} To import the file anew, give it another --key.")
    error.detail = error.detail.replace("The body", "The file")
    return error


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise _unreadable(file, error) from error
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
        said += " Imported already: nothing new was stored. To import it once more: --key NEW."
    return "\n".join([*problems, said])
