"""A catalog in a PostgreSQL database of its own, where there is a server."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

SERVER = os.environ.get("TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432")
SECONDS = 3


@contextmanager
def postgres_catalog() -> Iterator[str]:
    """Return its URL; skip the test where no server answers."""
    try:
        connection = psycopg.connect(f"{SERVER}/postgres", connect_timeout=SECONDS, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432 (TEST_POSTGRES names another)")
    name = f"tenantry_test_{uuid.uuid4().hex[:12]}"
    with connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{SERVER}/{name}"
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)
