"""Encrypt with the first key what the catalog keeps encrypted."""

from typing import Any

from tenancy.idempotency import reencrypt_answers
from tenancy.lifecycle import encryption_key_changed
from tenancy.lifecycle.clusters import reencrypt_uris
from tenancy.management.reporting import Report, ReportingCommand, counted


class Command(ReportingCommand):
    """Make the keys after the first one superfluous."""

    help = (
        "Encrypt the URIs of clusters, and what else the catalog keeps encrypted, with the first "
        "of FIELD_ENCRYPTION_KEYS. Then the other keys may go, once every process has been "
        "started with the new first one."
    )

    def act(self, **options: Any) -> Report:
        """Encrypt what was encrypted with another key."""
        uris = reencrypt_uris(by=self.actor)
        heard = encryption_key_changed.send(sender=None, by=self.actor)
        others = reencrypt_answers() + sum(int(count or 0) for _, count in heard)
        text = (
            f"{counted(uris, 'URI')} and {counted(others, 'other value')} encrypted anew: "
            "all need the first key only."
        )
        return Report({"reencrypted": uris + others}, text)
