"""A lock between the processes that share a file."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import Condition, Thread

from storage.errors import DatabaseUnavailable
from storage.sqlite.files import create_private

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


class ProcessLock:
    """A lock between processes, which the kernel releases for one that is killed.

    It makes waiting fair and no more: correctness is left to SQLite's own lock. So where the file
    cannot be opened or locked, there is no lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: _LockFile | None = None
        self._pid = 0

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Wait for the other processes' turns to end. One thread of each process at a time.

        Args:
            deadline: When to stop waiting, in seconds of `time.monotonic()`.

        Raises:
            DatabaseUnavailable: Others hold the lock until the deadline.

        """
        file = self._of_this_process()
        if file is None:
            yield
            return
        try:
            file.lock(deadline)
            yield
        finally:
            file.unlock()

    def _of_this_process(self) -> "_LockFile | None":
        """Return the open file; one from before a fork would be the parent's lock as well."""
        if fcntl is not None and self._pid != os.getpid():
            self.close()
            try:
                create_private(self._path)
                self._file = _LockFile(self._path)
            except OSError:
                return None
            self._pid = os.getpid()
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._pid = None, 0


class _LockFile:
    """An open file, and this process's lock on it.

    The system's call that waits for a lock knows no time limit. So a thread of its own makes that
    call, and whoever wants the lock waits for the thread. It may outlast the wait: the next one
    who wants the lock finds it in line already, and a lock that nobody wants any more is released.
    It begins with the first lock that must be waited for, and stays: under load every other one
    must.
    """

    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "r+")
        self._changed = Condition()
        self._has_thread = False
        self._is_in_line = False
        self._is_wanted = False
        self._is_held = False

    def lock(self, deadline: float) -> None:
        """Lock the file, or raise `DatabaseUnavailable` at the deadline."""
        with self._changed:
            self._is_wanted = True
            if not self._is_in_line:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._get_in_line()
                except OSError:  # this file system has no locks
                    return
                else:
                    self._is_held = True
                    return
            self._changed.wait_for(
                lambda: self._is_held or not self._is_in_line, deadline - time.monotonic()
            )
            if self._is_in_line:
                raise DatabaseUnavailable("it is busy")

    def unlock(self) -> None:
        """Release the lock if it is held, and otherwise want it no more."""
        with self._changed:
            self._is_wanted = False
            if self._is_held:
                self._release()

    def __del__(self) -> None:
        """Close the file of a database that was never closed; if it did not open, there is none."""
        if "_file" in vars(self):
            self._file.close()

    def close(self) -> None:
        """Close the file, which releases the lock."""
        with self._changed:
            self._is_wanted = False
            self._file.close()
            self._changed.notify_all()

    def _get_in_line(self) -> None:
        self._is_in_line = True
        if self._has_thread:
            self._changed.notify_all()
            return
        # A daemon: Python does not wait for it before it ends.
        thread = Thread(target=self._wait_in_line, name="process lock", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads
            self._is_in_line = False
        else:
            self._has_thread = True

    def _wait_in_line(self) -> None:
        while not self._file.closed:
            is_held = True
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            except (OSError, ValueError):  # this file system has no locks, or the file is closed
                is_held = False
            with self._changed:
                self._is_in_line = False
                self._is_held = is_held
                if is_held and not self._is_wanted:
                    self._release()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_in_line or self._file.closed)

    def _release(self) -> None:
        self._is_held = False
        if not self._file.closed:
            fcntl.flock(self._file, fcntl.LOCK_UN)
