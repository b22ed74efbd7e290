"""The accounts application."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may act, and where."""

    name = "accounts"
    verbose_name = "People"

    def ready(self) -> None:
        """Listen to the life of organizations; say how the API document names the token."""
        from accounts import departures, openapi  # noqa: F401
