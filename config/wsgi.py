"""The WSGI entry point that granian serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; keep its path as it came: Django puts its own reading in its place."""
    environ["tenantry.path"] = environ.get("PATH_INFO", "")
    return _django(environ, start_response)
