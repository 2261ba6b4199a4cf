"""A schema of one's own in a PostgreSQL database, for tests and for the bench."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

import psycopg
from psycopg import sql


@contextmanager
def fresh_schema(url: str) -> Iterator[str]:
    """An empty schema: the database's URL with it as the `search_path`."""
    name = f"test_{uuid4().hex}"
    schema = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    yield f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"
    drop_schema(url, name)


def drop_schema(url: str, name: str) -> None:
    """Drop a schema, and end what still uses it: a process that was killed, a call left alone."""
    is_dropped = False
    with psycopg.connect(url, autocommit=True) as connection:
        while not is_dropped:
            connection.execute(
                "SELECT pg_terminate_backend(pid)"
                " FROM pg_locks JOIN pg_class ON pg_class.oid = relation"
                " WHERE relnamespace = %s::regnamespace AND pid <> pg_backend_pid()",
                [name],
            )
            # Else a transaction that has begun meanwhile may wait for us, and we for it.
            with suppress(psycopg.errors.DeadlockDetected):
                drop = sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name))
                connection.execute(drop)
                is_dropped = True
