"""PostgreSQL: a pool of connections, transactions, and the outcome of a commit.

Nothing here relies on the state of a session: every transaction sets what it needs, so that a
pooler such as PgBouncer may run each on another connection.
"""

import logging
import re
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import Any

import psycopg
from psycopg import Cursor, Pipeline
from psycopg_pool import ConnectionPool

from config import Config, StartError
from storage.database import Database, Rows, Session
from storage.errors import CommitUnknown
from storage.postgres.connections import (
    PASSING_ERRORS,
    PostgresConnection,
    connection_options,
    first_line,
    reason,
    translated_errors,
)
from storage.postgres.schema import (
    IMPORT_LOCK,
    SCHEMA_VERSION,
    SchemaError,
    hash_of_interview,
    migrate,
)
from storage.rows import InterviewKey

log = logging.getLogger(__name__)

# Seconds that a starting process waits for another one that is migrating.
MIGRATION_TIMEOUT = 600.0

# Seconds by which this process waits longer than the server, whose errors are more exact.
GRACE = 1.0

# Seconds between two questions for the outcome of a commit.
OUTCOME_INTERVAL = 0.05

# The first statement of every transaction. A client that has gone without the server's notice keeps
# its locks no longer than a statement may take.
LIMITS = """
    SELECT set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('idle_in_transaction_session_timeout', %(statement_timeout)s, true),
    set_config('synchronous_commit', 'on', true)
"""


@cache
def translated(query: str) -> str:
    """Return the query with its parameters in psycopg's notation: `%(name)s` for `:name`."""
    return re.sub(r":(\w+)", r"%(\1)s", query)


# The locks come first: an interview's ids ascend in the order of storing, and what a transaction
# has read of it is what is stored. An import has the first one alone while it merges rows.
LOCK = f", pg_advisory_xact_lock_shared({IMPORT_LOCK})" + translated(
    f", pg_advisory_xact_lock({hash_of_interview(':')})"
)

# The transaction's id, by which its outcome can be asked for. Ids are finite, so that only a
# transaction that is to write takes one, once it has its lock.
XID = ", pg_current_xact_id()"

# The outcome of a commit, and whether the server may have crashed since the transaction began (a
# crash resets its statistics). A standby is not asked, as it may lag behind.
OUTCOME = """
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_xact_status(%(xid)s::xid8) END,
    stats_reset IS NULL OR stats_reset > clock_timestamp() - %(age)s * interval '1 second'
    FROM pg_stat_bgwriter
"""

# A write to the log that changes nothing and leaves no dead row. Many may hold this lock at once,
# so that the checks of several processes do not wait for each other.
WRITE = "SELECT version FROM schema_version FOR KEY SHARE"

ONE_INTERVIEW = (
    f"{hash_of_interview('')} = {hash_of_interview(':')}"
    " AND access_key = :access_key AND name = :name AND email = :email"
)
ONE_ACCESS_KEY = (
    "hashtextextended(access_key, 0) = hashtextextended(:access_key, 0)"
    " AND access_key = :access_key"
)
SKIP_LOCKED = "FOR UPDATE SKIP LOCKED"
NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"

# Whether the samples that ANALYZE has taken of a table's columns hold one of the texts.
SAMPLED = """
    SELECT 1 FROM pg_stats JOIN pg_class ON pg_class.oid = to_regclass(:table)
    JOIN pg_namespace ON pg_namespace.oid = relnamespace AND nspname = schemaname
    WHERE tablename = relname AND (
        CAST(CAST(most_common_vals AS text) AS text[]) && CAST(:texts AS text[])
        OR CAST(CAST(histogram_bounds AS text) AS text[]) && CAST(:texts AS text[])
    ) LIMIT 1
"""


class ReadingSession(Session):
    """Statements outside of a transaction, each bounded by the limits."""

    one_interview = ONE_INTERVIEW
    one_access_key = ONE_ACCESS_KEY
    skip_locked = SKIP_LOCKED
    now = NOW

    def __init__(self, connection: PostgresConnection, limits: Mapping[str, str]) -> None:
        self._connection = connection
        self._limits = limits

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        # A pipeline is one transaction, and the limits end with it.
        with self._connection.pipeline():
            self._connection.execute(LIMITS, self._limits)
            return self._connection.execute(translated(query), values)

    def keep_out(self, table: str) -> None:
        """Do nothing: what a single statement keeps out is its own matter."""

    def forget_samples(self, table: str, texts: Collection[str]) -> None:
        """Do nothing: a reading session deletes nothing."""


class TransactionSession(Session):
    """Statements of a transaction, which are sent when the first result is fetched."""

    one_interview = ONE_INTERVIEW
    one_access_key = ONE_ACCESS_KEY
    skip_locked = SKIP_LOCKED
    now = NOW

    def __init__(self, connection: PostgresConnection, pipeline: Pipeline) -> None:
        self._connection = connection
        self._pipeline = pipeline

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        return _PipelinedRows(self._connection.execute(translated(query), values), self._pipeline)

    def keep_out(self, table: str) -> None:
        """Lock the table, which others may still read."""
        self.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE", {})

    def forget_samples(self, table: str, texts: Collection[str]) -> None:
        """Take the samples anew if one of the texts is among them."""
        if self.execute(SAMPLED, {"table": table, "texts": list(texts)}).fetchone():
            self.execute(f"ANALYZE {table}", {})


class _PipelinedRows:
    """The rows of a query in a pipeline, waited for when the first is fetched."""

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
        # The cursor by itself would only flush. Without a sync the server expects more, and never
        # counts the time until the next statement as idle.
        if self._cursor.pgresult is None:
            self._pipeline.sync()
        return self._cursor


class PostgresDatabase(Database):
    """A PostgreSQL database."""

    must_be_wiped = False

    def __init__(self, config: Config) -> None:
        self._config = config
        self._timeout = config.database_lock_timeout
        self._limits = {
            "lock_timeout": f"{round(config.database_lock_timeout * 1000)}ms",
            "statement_timeout": f"{round(config.database_statement_timeout * 1000)}ms",
        }
        self._checking = Lock()
        self._check: Future[None] | None = None
        self._opening = Lock()
        self._pool: ConnectionPool[PostgresConnection] | None = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session whose queries each read what is stored at that moment."""
        with translated_errors(), self._connection() as connection:
            yield ReadingSession(connection, self._limits)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Give a session whose queries all read what is stored when the first of them is run."""
        with translated_errors(), self._connection() as connection:
            try:
                with connection.pipeline() as pipeline:
                    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    connection.execute(LIMITS, self._limits)
                    yield TransactionSession(connection, pipeline)
                    connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):  # then it is closed, which ends it as well
                    connection.rollback()
                raise

    @contextmanager
    def transaction(self, interview: InterviewKey | None = None) -> Iterator[Session]:
        """Give a session in a transaction, which waits for others of the same interview.

        Raises:
            CommitUnknown: The connection broke while the transaction was committed, and the outcome
                could not be asked for in time.

        """
        with translated_errors(), self._connection() as connection:
            begun = time.monotonic()
            xid = None
            try:
                with connection.pipeline() as pipeline:
                    # Each statement sees what was committed before it began; so what is read once
                    # the lock is held is what is stored. The server's default may differ.
                    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                    first = _PipelinedRows(self._begin(connection, interview), pipeline)
                    yield TransactionSession(connection, pipeline)
                    # It has arrived with the first result that was fetched; only a transaction that
                    # has fetched none waits for it here.
                    *_, xid = first.fetchone() or (None,)
                    connection.execute("COMMIT")
            except BaseException as error:
                with suppress(psycopg.Error):  # then it is closed, which rolls back as well
                    connection.rollback()
                if xid is None or not connection.closed or not isinstance(error, psycopg.Error):
                    raise
                if not self._has_committed(xid, begun, error):
                    raise

    def _begin(self, connection: PostgresConnection, interview: InterviewKey | None) -> Cursor[Any]:
        if interview is None:
            return connection.execute(LIMITS + XID, self._limits)
        return connection.execute(LIMITS + LOCK + XID, {**self._limits, **interview._asdict()})

    def _has_committed(self, xid: str, begun: float, error: psycopg.Error) -> bool:
        """Return the outcome of a commit during which the connection broke.

        Args:
            xid: The transaction's id.
            begun: When it began, in seconds of `time.monotonic()`.
            error: The error that ended its connection.

        Raises:
            CommitUnknown: The database did not give the outcome in time.

        """
        give_up = time.monotonic() + self._timeout
        outcome = None
        while outcome is None and time.monotonic() < give_up:
            with suppress(psycopg.Error):
                outcome = self._outcome(xid, begun, give_up)
            if outcome is None:
                time.sleep(OUTCOME_INTERVAL)
        log.warning(
            "PostgreSQL: %s during a commit (%s)",
            *(first_line(error), outcome or "the database is not reached"),
        )
        if outcome not in ("committed", "aborted"):
            raise CommitUnknown(reason(error)) from error
        return outcome == "committed"

    def _outcome(self, xid: str, begun: float, give_up: float) -> str | None:
        """Return `committed`, `aborted`, `unknown`, or None if it may yet be known."""
        # The pool's other connections may be in use, or broken as well.
        with PostgresConnection.connect(
            self._config.database_url, **connection_options(self._config)
        ) as connection:
            while True:
                left = give_up - time.monotonic()
                connection.patience = max(left, OUTCOME_INTERVAL)
                age = time.monotonic() - begun + GRACE
                try:
                    row = connection.execute(OUTCOME, {"xid": xid, "age": age}).fetchone()
                except psycopg.errors.InvalidParameterValue:
                    return "aborted"  # no such transaction: it was lost with a crash or a failover
                status, has_crashed = row or (None, False)
                if status == "committed" and has_crashed:
                    # A crash loses the ids whose transactions were not synced, and they are given
                    # out again: this may be another transaction's commit.
                    return "unknown"
                if status != "in progress" or left <= 0:
                    return None if status == "in progress" else status
                time.sleep(OUTCOME_INTERVAL)

    def check_writable(self) -> None:
        """Write something that changes nothing.

        One thread checks at a time, so that checks take one place of the pool at most; threads that
        come meanwhile share its result.
        """
        with self._checking:
            check, is_own = self._check or Future[None](), self._check is None
            self._check = check
        if is_own:
            try:
                with translated_errors(), self._connection() as connection, connection.pipeline():
                    connection.execute(LIMITS, self._limits)
                    connection.execute(WRITE)
                check.set_result(None)
            except BaseException as error:
                check.set_exception(error)
            finally:
                self._check = None
        check.result()

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        """Do nothing: what becomes of deleted rows is PostgreSQL's own, see docs/records.md."""

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
            # After a failover, for example, this server is read-only, and a new connection finds
            # the one that can be written.
            if error.sqlstate not in PASSING_ERRORS:
                connection.close()
            raise
        finally:
            pool.putconn(connection)

    def _opened_pool(self) -> "ConnectionPool[PostgresConnection]":
        """Return this process's pool, opened at its first use, as its threads die in a fork."""
        with self._opening:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._config.database_url,
                    connection_class=PostgresConnection,
                    kwargs=connection_options(self._config),
                    min_size=0,
                    max_size=self._config.database_pool_size,
                    timeout=self._timeout,
                    # The most seconds until a database that is back is used again.
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
        # The reason is not shown, as it may quote a password.
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
        raise StartError(f"The PostgreSQL database cannot be used: {first_line(error)}.") from error
    return PostgresDatabase(config)
