"""Connections to an SQLite file: how they are opened, shared by threads, and how they fail.

SQLite's errors leave as `DatabaseUnavailable`.
"""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import DatabaseUnavailable
from storage.sqlite.driver import sqlite3

log = logging.getLogger(__name__)

# Pages that a connection keeps to itself. SQLite's own 2 MB for each would add up; the system keeps
# the pages as well, once for all.
CACHE_KILOBYTES = 256

# Compiled statements that a connection keeps: more than the service has.
CACHED_STATEMENTS = 128

# Errors after which a connection is as good as before.
PASSING_ERRORS = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")


class Connection(sqlite3.Connection):
    """A connection whose patience with other processes' locks can be changed."""

    _busy_timeout = -1

    def wait_until(self, deadline: float) -> None:
        """Let statements wait for locks until the deadline, in seconds of `time.monotonic()`.

        It is kept to a tenth of a second, so that hardly any transaction needs another value than
        the one before.
        """
        milliseconds = max(1, math.ceil((deadline - time.monotonic()) * 10)) * 100
        if milliseconds != self._busy_timeout:
            self.execute(f"PRAGMA busy_timeout = {milliseconds}")
            self._busy_timeout = milliseconds


class Connections:
    """Connections to one file, each used by one thread at a time.

    They are opened when they are needed, and used again. As many stay open as were ever in use at
    once, so callers bound that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[Connection] = []

    @contextmanager
    def one(self, deadline: float) -> Iterator[Connection]:
        """Give a connection that waits for locks until the deadline."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path, max(0.0, deadline - time.monotonic()))
        try:
            connection.wait_until(deadline)
            yield connection
        except sqlite3.Error as error:
            if not error_name(error).startswith(PASSING_ERRORS):
                connection = self._renewed(connection, deadline)
            raise
        finally:
            if connection.in_transaction:
                connection.close()
            else:
                self._idle.append(connection)

    def close(self) -> None:
        """Close those that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()

    def _renewed(self, connection: Connection, deadline: float) -> Connection:
        """Return a new connection, or the old one where none can be opened.

        After an I/O error the old one's files may be gone for good, or may be all there is: on a
        full disk a new one might not even open, while the old one still reads.
        """
        try:
            new = connect(self._path, max(0.0, deadline - time.monotonic()))
        except sqlite3.Error:
            return connection
        try:
            new.execute("SELECT 1 FROM messages LIMIT 1").fetchone()
        except sqlite3.Error:
            new.close()
            return connection
        connection.close()
        return new


def connect(path: Path, lock_timeout: float) -> Connection:
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
        cached_statements=CACHED_STATEMENTS,
        factory=Connection,
    )
    try:
        _set_journal_mode(connection, lock_timeout)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
        # What is deleted is overwritten, which costs nothing where nothing is deleted.
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal_mode(connection: Connection, lock_timeout: float) -> None:
    # With FULL, truncating a rollback journal is synced; deleting it, the default, is not.
    mode = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"
    give_up = time.monotonic() + lock_timeout
    while True:
        connection.wait_until(give_up)
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:
            # SQLite does not wait to change the mode of a file that others have open.
            if not error_name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Return whether the SQLite version is free of the WAL-reset bug.

    In the others, connections that write at the same time may corrupt a WAL database
    (https://sqlite.org/wal.html#walresetbug).
    """
    return (
        version >= (3, 53)
        or (3, 51, 3) <= version < (3, 52)  # 3.52.0 was withdrawn
        or version[:3] in {(3, 44, 6), (3, 50, 7)}
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise SQLite's errors as `DatabaseUnavailable`, and log them."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not a state of the database
    except sqlite3.Error as error:
        name = error_name(error)
        log.error("SQLite: %s (%s)", error, name)  # noqa: TRY400  # the text holds the whole cause
        raise DatabaseUnavailable(_reason(name)) from error


def error_name(error: sqlite3.Error) -> str:
    """Return the extended error code's name, such as SQLITE_IOERR_WRITE."""
    return str(getattr(error, "sqlite_errorname", "SQLITE_ERROR"))


def _reason(name: str) -> str:
    """Return what clients read about an error, by the name of its code."""
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
