"""The WSGI entry point that granian serves."""

import gc
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import reset_queries

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django = get_wsgi_application()

# What Django does around every request, and what has nothing to do here: queries are remembered
# with DEBUG alone, and caches are in the memory of the process. Connections are looked after still.
request_finished.disconnect(close_caches)
if not settings.DEBUG:
    request_started.disconnect(reset_queries)

# A page of documents is thousands of new objects. Python would look through all of Django for
# rubbish again and again while it is read: what is there before the first request stays anyway.
NEW_OBJECTS_BEFORE_COLLECTION = 50_000
gc.collect()
gc.freeze()
gc.set_threshold(NEW_OBJECTS_BEFORE_COLLECTION)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; keep its path as it came: Django puts its own reading in its place."""
    environ["tenantry.path"] = environ.get("PATH_INFO", "")
    return _django(environ, start_response)
