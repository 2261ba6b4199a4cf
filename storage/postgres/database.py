"""PostgreSQL: a pool of connections, and transactions.

The queries are in `messages.py`, the schema is in `postgres_schema.py`, and how a connection is
made and fails is in `postgres_connections.py`. Nothing here relies on a session: every transaction
says itself what it needs, so that a pooler such as PgBouncer may give each to another connection.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import Any

import psycopg
from psycopg import Cursor, Pipeline
from psycopg_pool import ConnectionPool

from config import Config, StartError
from storage.database import Database, Rows, Session
from storage.postgres.connections import (
    PASSING_ERRORS,
    PostgresConnection,
    connection_options,
    told,
    translated_errors,
)
from storage.postgres.schema import SCHEMA_VERSION, SchemaError, hash_of_interview, migrate
from storage.rows import InterviewKey

log = logging.getLogger(__name__)

# Seconds that a starting process waits for another one that is migrating.
MIGRATION_TIMEOUT = 600.0

# Seconds that the server's own limits get to tell before a connection is given up.
GRACE = 1.0

# What every transaction begins with. A client that has gone, and whose network does not tell, keeps
# its locks no longer than a statement may take.
LIMITS = """
    SELECT set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('idle_in_transaction_session_timeout', %(statement_timeout)s, true),
    set_config('synchronous_commit', 'on', true)
"""


@cache
def translated(query: str) -> str:
    """Return the query with its parameters as psycopg knows them: `%(name)s` for `:name`."""
    return re.sub(r":(\w+)", r"%(\1)s", query)


# The lock comes first, so that an interview's ids ascend in the order of storing.
LIMITS_AND_LOCK = LIMITS + translated(f", pg_advisory_xact_lock({hash_of_interview(':')})")

ONE_INTERVIEW = (
    f"{hash_of_interview('')} = {hash_of_interview(':')}"
    " AND access_key = :access_key AND name = :name AND email = :email"
)
ONE_ACCESS_KEY = (
    "hashtextextended(access_key, 0) = hashtextextended(:access_key, 0)"
    " AND access_key = :access_key"
)


class ReadingSession(Session):
    """Statements outside of a transaction, each bounded by the limits."""

    one_interview = ONE_INTERVIEW
    one_access_key = ONE_ACCESS_KEY

    def __init__(self, connection: PostgresConnection, limits: Mapping[str, str]) -> None:
        self._connection = connection
        self._limits = limits

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        # What is sent together is one transaction, whose end takes the limits back.
        with self._connection.pipeline():
            self._connection.execute(LIMITS, self._limits)
            return self._connection.execute(translated(query), values)


class TransactionSession(Session):
    """Statements of a transaction, which are sent when the first result is fetched."""

    one_interview = ONE_INTERVIEW
    one_access_key = ONE_ACCESS_KEY

    def __init__(self, connection: PostgresConnection, pipeline: Pipeline) -> None:
        self._connection = connection
        self._pipeline = pipeline

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        return _PipelinedRows(self._connection.execute(translated(query), values), self._pipeline)


class _PipelinedRows:
    """What a query in a pipeline brings, waited for when it is asked for."""

    def __init__(self, cursor: Cursor[Any], pipeline: Pipeline) -> None:
        self._cursor = cursor
        self._pipeline = pipeline

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""
        return self._waited_for().fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return self._waited_for().fetchall()

    def _waited_for(self) -> Cursor[Any]:
        # The cursor by itself would only flush, and a server that is not told that a query was the
        # last for now does not count the time in which nothing comes.
        if self._cursor.pgresult is None:
            self._pipeline.sync()
        return self._cursor


class PostgresDatabase(Database):
    """A PostgreSQL database."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._timeout = config.database_lock_timeout
        self._limits = {
            "lock_timeout": f"{round(config.database_lock_timeout * 1000)}ms",
            "statement_timeout": f"{round(config.database_statement_timeout * 1000)}ms",
        }
        self._opening = Lock()
        self._pool: ConnectionPool[PostgresConnection] | None = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session whose queries each read what is stored at that moment."""
        with translated_errors(), self._connection() as connection:
            yield ReadingSession(connection, self._limits)

    @contextmanager
    def transaction(self, interview: InterviewKey | None = None) -> Iterator[Session]:
        """Give a session in a transaction, which waits for others of the same interview."""
        with translated_errors(), self._connection() as connection:
            try:
                with connection.pipeline() as pipeline:
                    # With this isolation, whatever the server's default, each statement sees what
                    # others have stored before it: so what is read once the lock is held is what
                    # is stored.
                    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                    if interview is None:
                        connection.execute(LIMITS, self._limits)
                    else:
                        connection.execute(LIMITS_AND_LOCK, {**self._limits, **interview._asdict()})
                    yield TransactionSession(connection, pipeline)
                    connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):  # then it is closed, which rolls back as well
                    connection.rollback()
                raise

    def check_writable(self) -> None:
        """Write something that changes nothing."""
        with translated_errors(), self._connection() as connection, connection.pipeline():
            connection.execute(LIMITS, self._limits)
            # It is written to the log, behind all else, and leaves no dead row.
            connection.execute("SELECT version FROM schema_version FOR UPDATE")

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def _connection(self) -> Iterator[PostgresConnection]:
        pool = self._opened_pool()
        connection = self._living(pool)
        try:
            yield connection
        except psycopg.Error as error:
            # After a failover, say, a server may only be read, and where to write is known by who
            # connects anew.
            if error.sqlstate not in PASSING_ERRORS:
                connection.close()
            raise
        finally:
            pool.putconn(connection)

    def _opened_pool(self) -> "ConnectionPool[PostgresConnection]":
        """Return this process's pool. It has threads, so that it must not be there at a fork."""
        with self._opening:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._config.database_url,
                    connection_class=PostgresConnection,
                    kwargs=connection_options(self._config),
                    min_size=0,
                    max_size=self._config.database_pool_size,
                    timeout=self._timeout,
                    # A database that is back is found after no more than this.
                    reconnect_timeout=self._timeout,
                    configure=self._configure,
                    open=True,
                )
            return self._pool

    def _configure(self, connection: PostgresConnection) -> None:
        connection.patience = self._timeout + self._config.database_statement_timeout + GRACE

    def _living(self, pool: "ConnectionPool[PostgresConnection]") -> PostgresConnection:
        """Return a connection that the server has not closed."""
        give_up = time.monotonic() + self._timeout
        while True:
            connection = pool.getconn(give_up - time.monotonic())
            if not connection.is_stale():
                return connection
            connection.close()
            pool.putconn(connection)


def open_postgres(config: Config) -> PostgresDatabase:
    """Create the tables of the service, or bring existing ones up to date.

    Raises:
        StartError: The URL or the database cannot be used.

    """
    try:
        options = connection_options(config)
    except psycopg.Error:
        # Why not is not shown: it may quote a password.
        raise StartError("DATABASE_URL is not a URL that PostgreSQL knows.") from None
    try:
        with PostgresConnection.connect(config.database_url, **options) as connection:
            migrate(connection, MIGRATION_TIMEOUT)
            where = connection.info
            log.info(
                "Database %s on %s: schema %d, PostgreSQL %s",
                *(where.dbname, where.host, SCHEMA_VERSION),
                where.parameter_status("server_version"),
            )
    except SchemaError as error:
        raise StartError(f"The PostgreSQL database cannot be used: {error}") from error
    except psycopg.Error as error:
        raise StartError(f"The PostgreSQL database cannot be used: {told(error)}.") from error
    return PostgresDatabase(config)
