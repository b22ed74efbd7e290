"""Raw JSON pipelines -> checked MongoDB pipelines."""

from typing import Any

from tenancy.exceptions import StageNotAllowed
from tenancy.mongo.query_values import Walk


def compile_pipeline(raw: Any, at: str = "/pipeline") -> list[dict[str, Any]]:
    """Return the checked stages."""
    Walk(at).refuse(None, "Pipelines are not served.", StageNotAllowed)
