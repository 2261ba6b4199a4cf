"""Wiping: seeing to it that an SQLite file, its log and its index hold nothing that was deleted.

The unused bytes of the file are overwritten beside SQLite (`storage/sqlite/unused_bytes.py`), while
the service reads and writes on. That is safe only as long as nobody writes to the file itself, and
lasting only if nobody writes back what they had read before. With a write-ahead log:

1. The log is moved into the file and emptied. A reader that begins then reads the file alone, and
   keeps everybody from moving anything into it: writers add to the log.
2. All unused bytes are overwritten. Whatever page was clean before stays clean.
3. What writers have put into the log meanwhile may hold old bytes again, as they had them in their
   caches. While nobody may write, the log is moved into the file, and its pages are overwritten.
4. The log is emptied again, and a change is committed by which every connection notices that its
   cache is out of date.

Steps 3 and 4 make writers wait, for milliseconds. Whoever writes in between, as programs might that
do not heed the lock between the service's processes, is noticed, and all of it is done again. A
process that is killed has overwritten unused bytes, and no others.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path
from struct import unpack_from
from threading import Lock

from storage.errors import DatabaseUnavailable
from storage.sqlite.connections import Connection, connect, error_name, translated_errors
from storage.sqlite.driver import sqlite3
from storage.sqlite.process_lock import ProcessLock
from storage.sqlite.unused_bytes import FileTooLarge, Pages

# Seconds between two attempts, and seconds that one waits for another's lock; others may have to
# wait meanwhile.
PAUSE = 0.02
LOCK_TIMEOUT = 0.1

# Bytes of the log's header, and of the header of each page in it.
LOG_HEADER = 32
FRAME_HEADER = 24


class Wiper:
    """The wiping of one file, by one thread of a process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.resolve().with_name(path.resolve().name + "-wal")
        # Another one than the writers of this process have, so that they wait for it as well.
        self._processes = ProcessLock(path.with_name(path.name + "-lock"))
        self._joining = Lock()
        self._next: Future[None] | None = None

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        """Return once nothing is left of what was deleted before.

        Threads that come while another one wipes share the next time.

        Args:
            patience: Seconds until it is given up; readers may hold it up for as long as they like.
            thoroughly: Whether the file may have been written without `secure_delete` since it was
                last wiped thoroughly.

        Raises:
            DatabaseUnavailable: It was not done in time, and may be tried again.

        """
        give_up = time.monotonic() + patience
        with self._joining:
            shared, is_own = self._next or Future[None](), self._next is None
            self._next = shared
        if is_own:
            try:
                self._wipe(shared, give_up, thoroughly=thoroughly)
            except BaseException as error:
                shared.set_exception(error)
            else:
                shared.set_result(None)
            finally:
                self._begin(shared)
        shared.result()

    def _wipe(self, shared: Future[None], give_up: float, *, thoroughly: bool) -> None:
        try:
            with translated_errors(), _opened(self._path, give_up) as file:
                self._begin(shared)
                while not self._has_wiped(file, give_up, thoroughly=thoroughly):
                    if time.monotonic() > give_up:
                        raise DatabaseUnavailable("it is busy")
                    time.sleep(PAUSE)
        except FileTooLarge:
            raise DatabaseUnavailable("its file is too large to be wiped") from None

    def _begin(self, shared: Future[None]) -> None:
        """Let threads that come from now on wait for the next time."""
        with self._joining:
            if self._next is shared:
                self._next = None

    def close(self) -> None:
        """Close the lock's file."""
        self._processes.close()

    def _has_wiped(self, file: FileIO, give_up: float, *, thoroughly: bool) -> bool:
        """Try once, and return whether nobody was in the way."""
        try:
            with closing(self._connection()) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
                is_logged = mode == "wal"
                has_wiped = self._has_wiped_beside if is_logged else self._has_wiped_alone
                return has_wiped(file, connection, give_up, thoroughly)
        except sqlite3.OperationalError as error:
            if error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                return False
            raise

    def _has_wiped_alone(
        self, file: FileIO, connection: Connection, give_up: float, thoroughly: bool
    ) -> bool:
        """Wipe a file without a write-ahead log, where readers and writers wait for each other."""
        with self._processes.turn(give_up):
            connection.execute("BEGIN EXCLUSIVE")
            Pages(file).wipe(thoroughly=thoroughly)
            os.fsync(file.fileno())
            _change(connection)
        return True

    def _has_wiped_beside(
        self, file: FileIO, connection: Connection, give_up: float, thoroughly: bool
    ) -> bool:
        """Wipe a file with a write-ahead log, while others read and write."""
        with closing(self._connection()) as reader:
            # First without keeping anybody waiting: a long reader may be in the way.
            if not _move_log(connection, "PASSIVE"):
                return False
            with self._processes.turn(give_up):
                if not _move_log(connection, "TRUNCATE"):
                    return False
                reader.execute("BEGIN")
                reader.execute("SELECT 1 FROM sqlite_schema").fetchall()
                if self._log_size():
                    return False
            Pages(file).wipe(thoroughly=thoroughly)
            os.fsync(file.fileno())
            with self._processes.turn(give_up):
                return self._has_wiped_log(file, connection, reader)

    def _has_wiped_log(self, file: FileIO, connection: Connection, reader: Connection) -> bool:
        """Wipe what was written since the reader began, and all caches."""
        with closing(self._connection()) as writer:
            writer.execute("BEGIN IMMEDIATE")
            changed = self._pages_in_log()
            reader.execute("COMMIT")
            version = _version(connection)
            if not _move_log(connection, "PASSIVE"):
                return False
            Pages(file).wipe_pages(changed)
            os.fsync(file.fileno())
        if not _move_log(connection, "TRUNCATE") or _version(connection) != version:
            return False
        # Another connection, which has read no page yet.
        with closing(self._connection()) as writer:
            writer.execute("BEGIN IMMEDIATE")
            if self._log_size():
                return False
            _change(writer)
        return True

    def _connection(self) -> Connection:
        connection = connect(self._path, LOCK_TIMEOUT)
        connection.wait_until(time.monotonic() + LOCK_TIMEOUT)
        return connection

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _pages_in_log(self) -> set[int]:
        """Return the number of each page that is in the log."""
        if self._log_size() < LOG_HEADER:
            return set()
        # SQLite locks nothing in this file, so that it may be opened and closed.
        with self._log.open("rb") as log:
            (page_size,) = unpack_from(">I", log.read(LOG_HEADER), 8)
            numbers = set[int]()
            while len(header := log.read(FRAME_HEADER)) == FRAME_HEADER:
                numbers.update(unpack_from(">I", header))
                log.seek(page_size, os.SEEK_CUR)
        return numbers


class _Kept:
    """A file that stays open as long as the process, and the lock of who uses it."""

    def __init__(self, path: Path) -> None:
        self.file = FileIO(path, "r+")
        self.lock = Lock()


# POSIX releases a process's locks on a file when it closes the file, however often it has it open:
# SQLite's locks would be gone as well. So a file is opened once, and never closed.
_kept: dict[tuple[int, int, int], _Kept] = {}
_keeping = Lock()


@contextmanager
def _opened(path: Path, give_up: float) -> Iterator[FileIO]:
    """Give the file to this thread alone."""
    status = path.stat()
    # Not one from before a fork: its position would be the parent's as well.
    key = (status.st_dev, status.st_ino, os.getpid())
    with _keeping:
        kept = _kept.get(key) or _Kept(path)
        _kept[key] = kept
    if not kept.lock.acquire(timeout=max(0.0, give_up - time.monotonic())):
        raise DatabaseUnavailable("it is busy")
    try:
        yield kept.file
    finally:
        kept.lock.release()


def _move_log(connection: Connection, mode: str) -> bool:
    """Move all of the log into the file, and return whether that was possible."""
    busy, in_log, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return not busy and in_log == moved


def _version(connection: Connection) -> int:
    """Return a number that changes when another connection commits."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def _change(connection: Connection) -> None:
    """Commit a change of nothing, by which all others notice that their caches are out of date."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")
