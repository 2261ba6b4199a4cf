"""PostgreSQL for tests: a schema of one's own in the server of `TEST_DATABASE_URL`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql


def server_url() -> str:
    """The URL of a database in which schemas may be created; without one the test is skipped."""
    url = os.environ.get("TEST_DATABASE_URL", "")
    if not url:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    return url


@contextmanager
def fresh_schema(url: str) -> Iterator[str]:
    """An empty schema: the database's URL with it as the `search_path`."""
    name = f"test_{uuid4().hex}"
    schema = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        # Who was killed may not have been missed yet.
        connection.execute(
            "SELECT pg_terminate_backend(pid)"
            " FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
            " WHERE relnamespace = %s::regnamespace AND pid <> pg_backend_pid()",
            [name],
        )
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))
