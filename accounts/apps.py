"""The accounts application."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may act, and where."""

    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        """Listen to the life of organizations and keys, and register the system checks."""
        from accounts import (  # noqa: F401
            backends,
            checks,
            departures,
            ended_invitations,
            pruning,
            reencryption,
        )
