"""An SQLite file as the service's database: its transactions, and how it is opened."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore, Lock

from config import APP_FOLDER, Config, StartError
from storage.database import Database, Rows, Session
from storage.errors import DatabaseUnavailable
from storage.rows import InterviewKey
from storage.sqlite.connections import Connection, Connections, connect, translated_errors
from storage.sqlite.driver import sqlite3
from storage.sqlite.files import create_private, warn_if_public
from storage.sqlite.group_commit import GroupCommit
from storage.sqlite.process_lock import ProcessLock
from storage.sqlite.schema import SCHEMA_VERSION, MigrationError, migrate
from storage.sqlite.wiping import Wiper

log = logging.getLogger(__name__)

# Seconds that a starting worker waits for another one that is migrating a large file.
MIGRATION_TIMEOUT = 600.0

# Threads of one process that read at once, each on a connection of its own; one more writes. A
# connection takes some 350 kB once it is warm, and a read less than a millisecond.
MAX_READERS = 7


class SqliteSession(Session):
    """Queries on one connection."""

    one_interview = "access_key = :access_key AND name = :name AND email = :email"
    one_access_key = "access_key = :access_key"
    skip_locked = ""  # one transaction writes at a time
    now = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query."""
        return self._connection.execute(query, values)

    def keep_out(self, table: str) -> None:
        """Do nothing: one transaction writes at a time."""

    def forget_samples(self, table: str, texts: Collection[str]) -> None:  # noqa: ARG002
        """Remove the samples of the table's indexes that an operator's ANALYZE has left, if any."""
        found = self._connection.execute(
            "SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat3', 'sqlite_stat4')"
        )
        for (samples,) in found.fetchall():
            self._connection.execute(f"DELETE FROM {samples} WHERE tbl = ?", (table,))


class SqliteDatabase(Database):
    """One SQLite file."""

    must_be_wiped = True

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self._path = path
        self._lock_timeout = lock_timeout
        self._connections = Connections(path)
        # The thread whose turn it is to write takes no place: it waits for no reader. A thread that
        # waits for its turn has no connection.
        self._reading_places = BoundedSemaphore(MAX_READERS)
        # Threads, and then processes, wait better here than for SQLite's own lock: that they would
        # poll, with pauses of up to a tenth of a second.
        self._threads = GroupCommit(self._begun)
        self._processes = ProcessLock(path.with_name(path.name + "-lock"))
        self._wiper = Wiper(path)
        self._checks = Lock()
        self._check: Future[None] | None = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session whose queries each read what is stored at that moment."""
        with self._reader() as connection:
            yield SqliteSession(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Give a session whose queries all read what is stored when the first of them is run."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield SqliteSession(connection)
            finally:
                if connection.in_transaction:  # an error may have ended it
                    connection.execute("ROLLBACK")

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        deadline = self._deadline()
        if not self._reading_places.acquire(timeout=self._lock_timeout):
            raise DatabaseUnavailable("it is busy")
        try:
            with translated_errors(), self._connections.one(deadline) as connection:
                yield connection
        finally:
            self._reading_places.release()

    @contextmanager
    def transaction(
        self,
        interview: InterviewKey | None = None,  # noqa: ARG002  # all interviews wait anyway
    ) -> Iterator[Session]:
        """Give a session in a transaction; no other one writes meanwhile."""
        with translated_errors(), self._threads.transaction(self._deadline()) as connection:
            yield SqliteSession(connection)

    def check_writable(self) -> None:
        """Write something that changes nothing.

        However many threads check at once, one of them writes, so that replies wait for no more
        than that.
        """
        with self._checks:
            other = self._check
            own = Future[None]()
            if other is None:
                self._check = own
        if other is not None:
            other.result()
            return
        try:
            with self.transaction() as session:
                (version,) = session.execute("PRAGMA user_version", {}).fetchone() or (0,)
                session.execute(f"PRAGMA user_version = {version}", {})
        except BaseException as error:
            own.set_exception(error)
            raise
        else:
            own.set_result(None)
        finally:
            self._check = None

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        """Return once file, log and index hold nothing of what was deleted before."""
        self._wiper.wipe(patience, thoroughly=thoroughly)

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        self._connections.close()
        self._processes.close()
        self._wiper.close()

    def _deadline(self) -> float:
        """Return when to stop waiting: for the turn, a connection and all locks together."""
        return time.monotonic() + self._lock_timeout

    @contextmanager
    def _begun(self, deadline: float) -> Iterator[Connection]:
        with self._processes.turn(deadline), self._connections.one(deadline) as connection:
            # IMMEDIATE waits for other processes here. A transaction that starts as a reader
            # fails without waiting when it comes to write.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                # Without a write-ahead log, a commit waits for readers.
                connection.wait_until(deadline)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back by itself
                    connection.execute("ROLLBACK")
                raise


def open_sqlite(config: Config) -> SqliteDatabase:
    """Create the file of `DATABASE_URL`, or bring an existing one up to date.

    Raises:
        StartError: The URL or the file cannot be used.

    """
    path = path_of(config.database_url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        create_private(path)
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
    warn_if_public(path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-lock")))
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
