"""Writing the log without waiting for whoever reads it.

A reader of stdout that stalls lets the pipe run full, and the next write waits until it reads on.
That must be no request's write.
"""

import atexit
import logging
import os
import select
import stat
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from threading import Lock, Thread

log = logging.getLogger(__name__)

# Lines that wait for a reader at most, some 4 MB; those that come then are dropped and counted.
MAX_LINES = 10_000

# Seconds that a process which ends gives the reader for the lines that still wait.
LAST_LINES = 2.0


def write_in_background(handlers: Iterable[logging.Handler]) -> None:
    """Let these handlers of this process write in a thread, where a reader could keep them waiting.

    Not before the process has been forked: its children would not have the thread.
    """
    for handler in handlers:
        if isinstance(handler, logging.StreamHandler):
            descriptor = _descriptor_with_a_reader(handler.stream)
            if descriptor is not None:
                handler.setStream(LogWriter(descriptor))


def _descriptor_with_a_reader(stream: object) -> int | None:
    try:
        descriptor: int = stream.fileno()  # type: ignore[attr-defined]
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    has_reader = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
    return descriptor if has_reader else None


class LogWriter:
    """A stream for a log handler: takes lines at once, and writes them in order in a thread."""

    def __init__(self, descriptor: int, max_lines: int = MAX_LINES) -> None:
        self._descriptor = descriptor
        self._max_lines = max_lines
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        self._lock = Lock()
        self._thread = Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: str) -> None:
        """Take a line, or count it if too many wait."""
        if self._lines.qsize() < self._max_lines:
            self._lines.put(line)
        else:
            with self._lock:
                self._dropped += 1

    def flush(self) -> None:
        """Return at once: handlers ask for it after each line."""

    def close(self) -> None:
        """Wait a moment until all lines are written."""
        atexit.unregister(self.close)
        self._lines.put(None)
        self._thread.join(LAST_LINES)

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            lines = [self._lines.get()]
            try:
                while lines[-1] is not None:
                    lines.append(self._lines.get_nowait())
            except Empty:
                pass
            if lines[-1] is None:
                is_over = True
                lines.pop()
            text = "".join(line for line in lines if line is not None)
            try:
                self._write(text.encode(errors="backslashreplace"))
            except OSError:  # the reader has gone, and with it whoever would miss the lines
                continue
            with self._lock:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                log.warning("%d lines of the log were dropped: nobody read them in time", dropped)

    def _write(self, data: bytes) -> None:
        # Not by sys.stdout: Python would wait for its lock before the process ends.
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another process has made the pipe non-blocking
                select.select([], [self._descriptor], [])
