"""An SQLite file as the service's database: its transactions, and how it is opened."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config import APP_FOLDER, Config, StartError
from storage.database import Database, Rows, Session
from storage.rows import InterviewKey
from storage.sqlite.connections import connect, error_name, translated_errors
from storage.sqlite.driver import sqlite3
from storage.sqlite.group_commit import GroupCommit
from storage.sqlite.process_lock import ProcessLock
from storage.sqlite.schema import SCHEMA_VERSION, MigrationError, migrate

log = logging.getLogger(__name__)

# Seconds that a starting worker waits for another one that is migrating a large file.
MIGRATION_TIMEOUT = 600.0

# Errors after which a connection is as good as before.
PASSING_ERRORS = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")


class SqliteSession(Session):
    """Queries on one connection."""

    one_interview = "access_key = :access_key AND name = :name AND email = :email"
    one_access_key = "access_key = :access_key"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        return self._connection.execute(query, values)


class SqliteDatabase(Database):
    """One SQLite file."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self._path = path
        self._lock_timeout = lock_timeout
        self._idle: list[sqlite3.Connection] = []
        # Threads, and then processes, wait better here than for SQLite's own lock: that they would
        # poll, with pauses of up to a tenth of a second.
        self._threads = GroupCommit(self._begun, lock_timeout)
        self._processes = ProcessLock(path.with_name(path.name + "-lock"))

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session whose queries each read what is stored at that moment."""
        with translated_errors(), self._connection() as connection:
            yield SqliteSession(connection)

    @contextmanager
    def transaction(
        self,
        interview: InterviewKey | None = None,  # noqa: ARG002  # all interviews wait anyway
    ) -> Iterator[Session]:
        """Give a session in a transaction; no other one writes meanwhile."""
        with translated_errors(), self._threads.transaction() as connection:
            yield SqliteSession(connection)

    def check_writable(self) -> None:
        """Write something that changes nothing."""
        with translated_errors(), self._threads.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()
        self._processes.close()

    @contextmanager
    def _begun(self) -> Iterator[sqlite3.Connection]:
        with self._processes.turn(), self._connection() as connection:
            # IMMEDIATE waits for other processes here. A transaction that starts as a reader
            # fails without waiting when it comes to write.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path, self._lock_timeout)
        try:
            yield connection
        except sqlite3.Error as error:
            if not error_name(error).startswith(PASSING_ERRORS):
                connection = self._renewed(connection)
            raise
        finally:
            if connection.in_transaction:
                connection.close()
            else:
                self._idle.append(connection)

    def _renewed(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Return a new connection, or the old one where none can be opened.

        After an I/O error the old one's files may be gone for good, or may be all there is: on a
        full disk a new one might not even open, while the old one still reads.
        """
        try:
            new = connect(self._path, self._lock_timeout)
        except sqlite3.Error:
            return connection
        try:
            new.execute("SELECT 1 FROM messages LIMIT 1").fetchone()
        except sqlite3.Error:
            new.close()
            return connection
        connection.close()
        return new


def open_sqlite(config: Config) -> SqliteDatabase:
    path = path_of(config.database_url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path, MIGRATION_TIMEOUT)
        try:
            migrate(connection, config.closing_phrase)
            (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        finally:
            connection.close()
    except MigrationError as error:
        raise StartError(f"The database {path} cannot be used: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"The database {path} cannot be opened: {error}.") from error
    log.info(
        "Database %s: schema %d, SQLite %s of %s, journal %s",
        path,
        SCHEMA_VERSION,
        sqlite3.sqlite_version,
        sqlite3.__name__,
        journal_mode,
    )
    return SqliteDatabase(path, config.database_lock_timeout)


def path_of(url: str) -> Path:
    """Return the file that `DATABASE_URL` names.

    Raises:
        StartError: It names none.

    """
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url in (prefix, prefix + ":memory:"):
        # The URL itself is not shown: of another database, it may hold a password.
        raise StartError(
            "DATABASE_URL must be sqlite:/// and the path of a file, such as sqlite:///messages.db"
            " or sqlite:////data/messages.db, or postgresql:// and where a database is."
        )
    return APP_FOLDER / url.removeprefix(prefix)
