"""Connections to an SQLite file: how they are opened, and how they fail.

SQLite's errors leave as `DatabaseUnavailable`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import DatabaseUnavailable
from storage.sqlite.driver import sqlite3

log = logging.getLogger(__name__)

# Pages that a connection keeps to itself. As many connections stay as were ever in use at once, so
# that SQLite's own 2 MB each would add up; the system keeps the pages as well, once for all.
CACHE_KILOBYTES = 256


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
            if not error_name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
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


@contextmanager
def translated_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not a state of the database
    except sqlite3.Error as error:
        name = error_name(error)
        log.error("SQLite: %s (%s)", error, name)  # noqa: TRY400  # the cause is all in the text
        raise DatabaseUnavailable(_reason(name)) from error


def error_name(error: sqlite3.Error) -> str:
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
