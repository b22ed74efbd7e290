#!/usr/bin/env python
"""The command line of Tenantry: `manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        sys.exit(f"{error}. Run `make install` first, then use .venv/bin/python manage.py.")
    try:
        hasattr(settings, "DEBUG")  # reads them all now, so that what is wrong can be said
    except ImproperlyConfigured as error:
        sys.exit(f"A setting is wrong: {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
