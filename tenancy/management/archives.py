"""An organization's documents as a directory: a file for each collection, and what they are.

It is written under another name beside, and gets its own when it is whole.
"""

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.utils import timezone

from tenancy import catalog
from tenancy.access import with_collection
from tenancy.exceptions import TenancyError
from tenancy.exports import begin_export
from tenancy.lifecycle import declared_indexes
from tenancy.management.bytes_progress import shown_progress
from tenancy.management.reporting import Failed
from tenancy.models import Organization

MANIFEST = "manifest.json"
FORMAT = "tenantry-export"
VERSION = 1
GZIP_LEVEL = 4


@contextmanager
def new_directory(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a directory to write into; it becomes `target` when the block ends without an error.

    Raises Failed where something is already. `force` replaces an earlier export, and nothing else.
    """
    if target.exists() and not force:
        raise Failed(f"{target} is there already. Replace it with --force.")
    if target.exists() and not _is_replaceable(target):
        raise Failed(f"{target} is no export: it is not replaced.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except OSError as error:
        raise Failed(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_replaceable(target: Path) -> bool:
    return target.is_dir() and ((target / MANIFEST).exists() or not any(target.iterdir()))


def write_archive(
    organization: Organization, collections: list[str], directory: Path, *, packed: bool, by: str
) -> dict[str, Any]:
    """Write every collection, each as it is at one moment, and the manifest. Return that."""
    begun_at = timezone.now()
    parts = [
        _write_collection(organization, name, directory, packed=packed, by=by)
        for name in collections
    ]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "organization": {
            "id": str(organization.pk), "name": organization.name, "slug": organization.slug,
        },
        "begun_at": begun_at.isoformat(),
        "ended_at": timezone.now().isoformat(),
        "collections": parts,
    }  # fmt: skip
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def _write_collection(
    organization: Organization, name: str, directory: Path, *, packed: bool, by: str
) -> dict[str, Any]:
    file = directory / f"{name}.ndjson{'.gz' if packed else ''}"
    total = with_collection(organization.pk, name, lambda documents: documents.count(), by=by)
    export = begin_export(organization.pk, name, by=by, footer=True)
    try:
        with (
            _opened(file, packed=packed) as output,
            shown_progress(name, total, in_bytes=False) as advance,
        ):
            for lines in export:
                output.write(lines)
                advance(lines.count(b"\n"))
    finally:
        export.close()
    if export.error is not None:
        raise export.error
    return {
        "name": name, "file": file.name, "count": export.count, "sha256": export.sha256,
        "indexes": _indexes(organization, name), "schema": _schema(organization, name),
    }  # fmt: skip


def _opened(file: Path, *, packed: bool) -> IO[bytes]:
    if packed:
        return gzip.open(file, "wb", compresslevel=GZIP_LEVEL)  # type: ignore[return-value]
    return file.open("wb")


def _indexes(organization: Organization, name: str) -> list[dict[str, Any]]:
    found = declared_indexes(organization.pk).get(name, [])
    return [
        {
            "name": spec.name,
            "keys": [list(key) for key in spec.keys],
            "unique": spec.unique,
            "sparse": spec.sparse,
            "ttl_seconds": spec.ttl_seconds,
        }
        for spec in found
    ]


def _schema(organization: Organization, name: str) -> dict[str, Any] | None:
    try:
        row = catalog.get_collection(organization.pk, name)
    except TenancyError:
        return None
    if not row.json_schema:
        return None
    return {"json_schema": json.loads(row.json_schema), "mode": row.schema_mode}
