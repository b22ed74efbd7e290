"""Say what so many organizations and documents take."""

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from tenancy.capacity import BOUNDS, DOCUMENT_BYTES, Demand, plan_capacity
from tenancy.management.capacity_text import describe_plan
from tenancy.management.reporting import Report, ReportingCommand
from tenancy.wording import shorten


def _whole(name: str) -> Callable[[str], int]:
    """Return what reads an option: a whole number within its bounds."""
    least, greatest = BOUNDS[name]

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = -1
        if not least <= number <= greatest:
            raise argparse.ArgumentTypeError(
                f"a whole number from {least:,} to {greatest:,} is needed, not “{shorten(text)}”"
            )
        return number

    return read


class Command(ReportingCommand):
    """Plan kinds, clusters, memory, disk and processes from what was measured."""

    help = (
        "Recommend a kind of placement and say how much MongoDB, memory, disk and how many web "
        "processes so many organizations take, from what was measured (docs/scaling.md)."
    )
    requires_system_checks = []  # it reads neither settings nor catalog

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what is to be served."""
        options = {
            "tenants": ("N", "How many organizations.", None),
            "documents": ("M", "How many documents they have, all together.", None),
            "document_bytes": ("B", "Bytes of a document, on average.", DOCUMENT_BYTES),
            "requests_per_second": ("R", "Requests per second, at the busiest.", 1),
            "indexes": ("I", "Further indexes of each organization's collections.", 0),
        }
        for name, (metavar, text, default) in options.items():
            more = "" if default is None else f" (default {default:,})"
            parser.add_argument(
                f"--{name.replace('_', '-')}", type=_whole(name), metavar=metavar,
                required=default is None, default=default, help=text + more,
            )  # fmt: skip

    def act(self, **options: Any) -> Report:
        """Plan."""
        plan = plan_capacity(Demand(**{name: options[name] for name in BOUNDS}))
        return Report(plan.represent(), describe_plan(plan))
