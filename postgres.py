"""PostgreSQL: its connections and transactions.

The queries are in `messages.py`, the schema is in `postgres_schema.py`. Nothing here relies on a
session: every transaction says itself what it needs, so that a pooler such as PgBouncer may give
each to another server connection.
"""

import logging
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg import Connection, Cursor, Pipeline
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from config import Config, StartError
from errors import DatabaseUnavailable
from messages import Database, Execute, InterviewKey, Messages, Rows
from postgres_schema import SCHEMA_VERSION, SchemaError, hash_of_interview, migrate

log = logging.getLogger(__name__)

# Seconds that a starting process waits for another one that is migrating.
MIGRATION_TIMEOUT = 600.0

# Seconds that the server's own limits get to tell before a connection is given up.
GRACE = 1.0

# States after which a connection is as good as before: a lock was not to be had, a statement took
# too long, two transactions waited for one another, the disk is full.
PASSING_ERRORS = ("55P03", "57014", "40P01", "40001", "53100")

Result = TypeVar("Result")

# What every transaction begins with. A client that has gone, and whose network does not tell, keeps
# its locks no longer than a statement may take.
LIMITS = """
    SELECT set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('idle_in_transaction_session_timeout', %(statement_timeout)s, true),
    set_config('synchronous_commit', %(synchronous_commit)s, true)
"""


@cache
def _translated(query: str) -> str:
    """Return the query with its parameters as psycopg knows them: `%(name)s` for `:name`."""
    return re.sub(r":(\w+)", r"%(\1)s", query)


# Ids are taken under the lock, so that an interview's ascend in the order of storing.
LIMITS_LOCK_AND_ID = LIMITS + _translated(
    f", pg_advisory_xact_lock({hash_of_interview(':')}), nextval('messages_id_seq')"
)


class PostgresMessages(Messages):
    """The queries as PostgreSQL's indexes serve them, in a transaction or outside of one."""

    one_interview: ClassVar = (
        f"{hash_of_interview('')} = {hash_of_interview(':')} AND {Messages.one_interview}"
    )
    one_access_key: ClassVar = (
        "hashtextextended(access_key, 0) = hashtextextended(:access_key, 0)"
        f" AND {Messages.one_access_key}"
    )

    def __init__(self, execute: Execute, reserved: Rows | None = None) -> None:
        super().__init__(execute)
        self._reserved = reserved

    def _next_id(self) -> int:
        """Return the reserved id, then further ones.

        Storing a message would tell its id as well, but only after one more round trip.
        """
        rows, self._reserved = self._reserved, None
        if rows is None:
            rows = self._execute("SELECT nextval('messages_id_seq')", {})
        *_, id_ = rows.fetchone() or (0,)
        return int(id_)


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
            "synchronous_commit": "on",
        }
        self._opening = Lock()
        self._pool: ConnectionPool[_Connection] | None = None

    @contextmanager
    def reading(self) -> Iterator[Messages]:
        """Give the queries; each reads what is stored at that moment."""
        with _translated_errors(), self._connection() as connection:

            def execute(query: str, values: Mapping[str, object]) -> Cursor[Any]:
                # What is sent together is one transaction, whose end takes the limits back.
                with connection.pipeline():
                    connection.execute(LIMITS, self._limits)
                    return connection.execute(_translated(query), values)

            yield PostgresMessages(execute)

    @contextmanager
    def transaction(
        self,
        interview: InterviewKey | None = None,
        *,
        synced: bool = True,
    ) -> Iterator[Messages]:
        """Give the queries in a transaction, which waits for others of the same interview.

        A server that crashes forgets what was not synced, though it was to be read before.
        """
        limits = self._limits if synced else {**self._limits, "synchronous_commit": "off"}
        with _translated_errors(), self._connection() as connection:
            try:
                with connection.pipeline() as pipeline:
                    yield _begun(connection, pipeline, interview, limits)
                    connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):  # then it is closed, which rolls back as well
                    connection.rollback()
                raise

    def sync(self) -> None:
        """Let all that was stored without being synced survive a crash of the server."""
        with _translated_errors(), self._connection() as connection, connection.pipeline():
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
    def _connection(self) -> Iterator["_Connection"]:
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

    def _opened_pool(self) -> "ConnectionPool[_Connection]":
        """Return this process's pool. It has threads, so that it must not be there at a fork."""
        with self._opening:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._config.database_url,
                    connection_class=_Connection,
                    kwargs=_options(self._config),
                    min_size=0,
                    max_size=self._config.database_pool_size,
                    timeout=self._timeout,
                    # A database that is back is found after no more than this.
                    reconnect_timeout=self._timeout,
                    configure=self._configure,
                    open=True,
                )
            return self._pool

    def _configure(self, connection: "_Connection") -> None:
        connection.patience = self._timeout + self._config.database_statement_timeout + GRACE

    def _living(self, pool: "ConnectionPool[_Connection]") -> "_Connection":
        """Return a connection that the server has not closed."""
        give_up = time.monotonic() + self._timeout
        while True:
            connection = pool.getconn(give_up - time.monotonic())
            if not connection.is_stale():
                return connection
            connection.close()
            pool.putconn(connection)


class _Connection(Connection[Any]):
    """A connection on which nothing is waited for without end, even from a server gone silent."""

    patience: float | None = None
    """Seconds to wait for what was asked; None: without end."""

    def wait(
        self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None
    ) -> Result:
        """Wait as psycopg does, but not for ever."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server is silent") from None

    def is_stale(self) -> bool:
        """Tell whether the server has closed it, without asking unless there is reason to."""
        if not self.closed and _is_readable(self.fileno()):
            # Nothing was asked. So the server parts, or speaks of something else.
            with suppress(psycopg.Error):
                self.execute("")
        return self.closed


def _is_readable(socket: int) -> bool:
    if sys.platform == "win32":
        return bool(select.select([socket], [], [], 0)[0])
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _begun(
    connection: _Connection,
    pipeline: Pipeline,
    interview: InterviewKey | None,
    limits: Mapping[str, str],
) -> PostgresMessages:
    """Begin a transaction, with what the first query sends."""

    def execute(query: str, values: Mapping[str, object]) -> _PipelinedRows:
        return _PipelinedRows(connection.execute(_translated(query), values), pipeline)

    # With this isolation, whatever the server's default, each statement sees what others have
    # stored before it: so what is read after the lock is had is what is stored.
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    if interview is None:
        connection.execute(LIMITS, limits)
        return PostgresMessages(execute)
    return PostgresMessages(execute, execute(LIMITS_LOCK_AND_ID, {**limits, **interview._asdict()}))


def open_postgres(config: Config) -> PostgresDatabase:
    """Create the tables of the service, or bring existing ones up to date.

    Raises:
        StartError: The URL or the database cannot be used.

    """
    try:
        options = _options(config)
    except psycopg.Error:
        # Why not is not shown: it may quote a password.
        raise StartError("DATABASE_URL is not a URL that PostgreSQL knows.") from None
    try:
        with _Connection.connect(
            config.database_url, **{**options, "patience": None}
        ) as connection:
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
        raise StartError(f"The PostgreSQL database cannot be used: {_told(error)}.") from error
    return PostgresDatabase(config)


def _options(config: Config) -> dict[str, Any]:
    """Return how to connect; what the URL says of it counts more."""
    options = {
        "connect_timeout": max(2, round(config.database_lock_timeout)),
        "fallback_application_name": "tukma",
        # Idle connections that a firewall has dropped are found by these.
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    said = conninfo_to_dict(config.database_url)
    return {
        **{name: value for name, value in options.items() if name not in said},
        "autocommit": True,  # transactions are begun and ended in plain sight
        "prepare_threshold": None,
        "client_encoding": "UTF8",
    }


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (
        psycopg.ProgrammingError,
        psycopg.IntegrityError,
        psycopg.DataError,
        psycopg.NotSupportedError,
    ):
        raise  # a mistake of ours, not a state of the database
    except psycopg.Error as error:
        log.error("PostgreSQL: %s (%s)", _told(error), error.sqlstate)  # noqa: TRY400  # all is told
        raise DatabaseUnavailable(_reason(error)) from error


def _told(error: psycopg.Error) -> str:
    """Return what went wrong, without the values that the server may add on further lines."""
    return str(error).partition("\n")[0].rstrip(".")


def _reason(error: psycopg.Error) -> str:
    """Put an error into the client's words."""
    if isinstance(error, PoolTimeout):
        return "it gives no connection"
    for state, reason in (
        ("55P03", "it is busy"),
        ("57014", "it takes too long"),
        ("53100", "its disk is full"),
        ("25006", "it is read-only"),
        ("", "it fails"),
    ):
        if error.sqlstate is not None and error.sqlstate.startswith(state):
            return reason
    return "the connection to it broke"
