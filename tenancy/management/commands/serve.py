"""Run the whole service on this machine."""

from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from tenancy.management.supervisor import Supervisor


class Command(BaseCommand):
    """`manage.py serve`: everything in one command, until Ctrl-C."""

    help = (
        "Serve the API, the docs and the admin site on PORT, with a MongoDB of its own unless "
        "MONGODB_URI is set."
    )
    requires_system_checks = []  # the supervisor runs them while MongoDB starts

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal says to stop."""
        Supervisor(say=self._say, check=self.check).run()

    def _say(self, text: str) -> None:
        with suppress(OSError):  # the terminal may be gone before the service is
            self.stdout.write(text)
            self.stdout.flush()
