"""`manage.py serve` with the application that notes where CPU goes: for the benchmark alone."""

import os
import sys

from django.core.management import execute_from_command_line

from tenancy.management import web_server

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    web_server.APPLICATION = "benchmarks.profiled_wsgi:application"
    execute_from_command_line([sys.argv[0], "serve"])
