"""A lock between the processes that share a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


class ProcessLock:
    """A lock between processes, which the kernel gives back for one that is killed.

    It makes waiting fair and no more: what is right is up to SQLite's own lock. So where there is
    none to be had, it is done without.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._pid = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the other processes' turns to end. One thread of each process at a time."""
        file = self._of_this_process()
        if file is None:
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _of_this_process(self) -> int | None:
        """Return the open file; one from before a fork would be the parent's lock as well."""
        if fcntl is not None and self._pid != os.getpid():
            try:
                self._file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
            except OSError:
                return None
            self._pid = os.getpid()
        return self._file

    def close(self) -> None:
        """Close the file."""
        if self._file is not None and self._pid == os.getpid():
            os.close(self._file)
        self._file, self._pid = None, 0
