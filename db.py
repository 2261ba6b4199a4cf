"""The database of `DATABASE_URL`, and SQLite: its connections and transactions.

The queries are in `messages.py`, the schema is in `migrations.py`. PostgreSQL has its own beside
this: `postgres.py`, which is loaded only where it is asked for. SQLite's errors leave as
`DatabaseUnavailable`.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from config import APP_FOLDER, Config, StartError, load
from errors import DatabaseUnavailable
from group_commit import GroupCommit
from messages import Database, InterviewKey, Messages
from migrations import SCHEMA_VERSION, MigrationError, migrate
from process_lock import ProcessLock

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

log = logging.getLogger(__name__)

# Pages that a connection keeps to itself. As many connections stay as were ever in use at once, so
# that SQLite's own 2 MB each would add up; the system keeps the pages as well, once for all.
CACHE_KILOBYTES = 256

# Seconds that a starting worker waits for another one that is migrating a large file.
MIGRATION_TIMEOUT = 600.0

# Errors after which a connection is as good as before.
PASSING_ERRORS = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")


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
    def reading(self) -> Iterator[Messages]:
        """Give the queries; each reads what is stored at that moment."""
        with _translated_errors(), self._connection() as connection:
            yield Messages(connection.execute)

    @contextmanager
    def transaction(
        self,
        interview: InterviewKey | None = None,  # noqa: ARG002  # all interviews wait anyway
        *,
        synced: bool = True,
    ) -> Iterator[Messages]:
        """Give the queries in a transaction; the only one at the time."""
        with _translated_errors(), self._threads.transaction(synced=synced) as connection:
            yield Messages(connection.execute)

    def sync(self) -> None:
        """Let all that was stored without being synced survive a power cut."""
        with _translated_errors(), self._threads.transaction(synced=True) as connection:
            # What is written is what is there already.
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()
        self._processes.close()

    @contextmanager
    def _begun(self, synced: bool) -> Iterator["sqlite3.Connection"]:
        with self._processes.turn(), self._connection() as connection:
            # Only a write-ahead log can be left unsynced without harm. Each transaction says which
            # it wants, so that none depends on what the connection was used for before.
            relaxed = not synced and wal_is_safe(sqlite3.sqlite_version_info)
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if relaxed else 'FULL'}")
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
    def _connection(self) -> Iterator["sqlite3.Connection"]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path, self._lock_timeout)
        try:
            yield connection
        except sqlite3.Error as error:
            if not _error_name(error).startswith(PASSING_ERRORS):
                connection = self._renewed(connection)
            raise
        finally:
            if connection.in_transaction:
                connection.close()
            else:
                self._idle.append(connection)

    def _renewed(self, connection: "sqlite3.Connection") -> "sqlite3.Connection":
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


def open_database(config: Config) -> Database:
    """Create the database of `DATABASE_URL`, or bring an existing one up to date.

    Raises:
        StartError: The URL or the database cannot be used.

    """
    if config.is_postgresql:
        try:
            from postgres import open_postgres
        except ImportError as error:
            raise StartError(
                "DATABASE_URL asks for PostgreSQL, whose client is not installed:"
                " pip install -r requirements.txt."
            ) from error
        return open_postgres(config)
    return _open_sqlite(config)


def _open_sqlite(config: Config) -> SqliteDatabase:
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


def connect(path: Path, lock_timeout: float) -> "sqlite3.Connection":
    """Open the file so that a commit survives a power cut.

    Args:
        path: The file; it is created if there is none.
        lock_timeout: Seconds to wait for another process that writes.

    """
    connection = sqlite3.connect(
        path,
        timeout=lock_timeout,
        isolation_level=None,  # transactions are begun and ended in plain sight
        check_same_thread=False,  # one thread at a time, but not always the same
    )
    try:
        _set_journal_mode(connection, lock_timeout)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal_mode(connection: "sqlite3.Connection", lock_timeout: float) -> None:
    # With FULL, truncating a rollback journal is synced; deleting it, the default, is not.
    mode = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"
    give_up = time.monotonic() + lock_timeout
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:
            # To change the mode of a file that others have open SQLite does not wait.
            if not _error_name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether the SQLite version is free of the WAL-reset bug.

    In the others, connections that write at the same time may corrupt a WAL database
    (https://sqlite.org/wal.html#walresetbug).
    """
    return (
        version >= (3, 53)
        or (3, 51, 3) <= version < (3, 52)  # 3.52.0 was withdrawn
        or version[:3] in {(3, 44, 6), (3, 50, 7)}
    )


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


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not a state of the database
    except sqlite3.Error as error:
        name = _error_name(error)
        log.error("SQLite: %s (%s)", error, name)  # noqa: TRY400  # the cause is all in the text
        raise DatabaseUnavailable(_reason(name)) from error


def _error_name(error: sqlite3.Error) -> str:
    """Return the extended error code's name, such as SQLITE_IOERR_WRITE."""
    return str(getattr(error, "sqlite_errorname", "SQLITE_ERROR"))


def _reason(name: str) -> str:
    """Put an error code's name into the client's words."""
    for prefix, reason in (
        ("SQLITE_FULL", "its disk is full"),
        ("SQLITE_BUSY", "it is busy"),
        ("SQLITE_LOCKED", "it is busy"),
        ("SQLITE_READONLY", "it is read-only"),
        ("SQLITE_CANTOPEN", "it cannot be opened"),
        ("SQLITE_IOERR", "its disk fails"),
    ):
        if name.startswith(prefix):
            return reason
    return "it fails"


def main() -> None:
    """Bring the database up to date, as every start does."""
    try:
        open_database(load(asks_model=False))
    except StartError as error:
        sys.exit(str(error))
    print("The database is up to date.")


if __name__ == "__main__":
    main()
