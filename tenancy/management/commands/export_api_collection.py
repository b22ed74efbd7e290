"""Write the API as a collection for Postman, Bruno or Insomnia."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from drf_spectacular.generators import SchemaGenerator

from tenancy.management.postman import make_collection
from tenancy.management.reporting import Failed, Report, ReportingCommand

BASE_URL = "http://127.0.0.1:8000"


class Command(ReportingCommand):
    """Make the collection from the OpenAPI document of this very version."""

    help = (
        "Write the API as a Postman collection (v2.1), which Bruno and Insomnia import too. "
        "Signing in with one of its requests keeps the tokens for all others."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where to write, and where the service is."""
        parser.add_argument("file", type=Path, help="The file to write, or - for standard output.")
        parser.add_argument("--base-url", default=BASE_URL, help=f"By default {BASE_URL}.")
        parser.add_argument("--force", action="store_true", help="Replace a file that is there.")

    def act(self, *, file: Path, base_url: str, force: bool, **options: Any) -> Report:
        """Write the file. Raises Failed if it is there already, or cannot be written."""
        generator: Any = SchemaGenerator  # it has no types
        document = generator().get_schema(request=None, public=True)
        collection = make_collection(document, base_url.rstrip("/"))
        text = json.dumps(collection, indent=2, ensure_ascii=False)
        count = sum(len(folder["item"]) for folder in collection["item"])
        if str(file) == "-":
            return Report(collection, text)
        _write(file, text + "\n", force=force)
        return Report({"file": str(file), "requests": count}, f"{count} requests, in {file}.")


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise Failed(f"{file} is there already. Replace it with --force.") from None
    except OSError as error:
        raise Failed(f"{file} cannot be written: {error.strerror}.") from None
