"""The tenancy application."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    """What an organization is, and where its data lives."""

    name = "tenancy"
    verbose_name = "Organizations"

    def ready(self) -> None:
        """Register the system checks."""
        from tenancy import checks  # noqa: F401
