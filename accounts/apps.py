"""The accounts application."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may act, and where."""

    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        """Listen to the life of organizations."""
        from accounts import departures  # noqa: F401
