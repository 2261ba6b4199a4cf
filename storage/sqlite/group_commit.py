"""Group commit: threads that wait to write share one transaction, and so one sync of the disk.

A thread that has written passes the transaction on to the thread that waits the longest; the last
one commits. Only then do all of them go on, as what one has read of another's may still be undone
until then.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

from storage.errors import DatabaseUnavailable
from storage.sqlite.connections import Connection

# Writers of one transaction. The first of them waits for the last one, and so do other processes.
MAX_WRITERS = 16

Begin = Callable[[float], AbstractContextManager[Connection]]
"""Begins a transaction, and commits it, or rolls it back after an error.

It waits for other processes until the deadline that it is given.
"""


class Group:
    """Threads that write in one transaction, one after the other."""

    def __init__(self, transaction: AbstractContextManager[Connection]) -> None:
        self._writers = 0
        self._error: BaseException | None = None
        self.ended = Future[None]()
        self._transaction = ExitStack()
        # Last, so that nothing can fail that would leave it open.
        self._connection = self._transaction.enter_context(transaction)

    @property
    def is_open(self) -> bool:
        """True while another thread may write in it."""
        return self._error is None and self._writers < MAX_WRITERS

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """Let a thread write. If it fails, only what it has written itself is undone."""
        is_first = self._writers == 0
        self._writers += 1
        try:
            if not is_first:
                self._connection.execute("SAVEPOINT part")
            yield self._connection
            if not is_first:
                self._connection.execute("RELEASE part")
        except BaseException as error:
            # After some errors, such as a full disk, SQLite has rolled back the whole transaction.
            if is_first or not self._connection.in_transaction:
                self._error = error
            else:
                self._undo_part()
            raise

    def _undo_part(self) -> None:
        try:
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")
        except BaseException as error:
            self._error = error
            raise

    def end(self) -> None:
        """Commit, or roll back if a part has failed for all, and wake the threads that wrote."""
        try:
            with self._transaction:
                if self._error is not None:
                    raise self._error  # noqa: TRY301  # so that it is rolled back
        except BaseException as error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)


Turn = Future[Group | None]
"""A thread's turn to write, once it comes: the group that the thread joins, or None for a new one.

A turn that is cancelled is passed over.
"""


class GroupCommit:
    """Turns to write: one thread at a time, in the order in which they come."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._lock = Lock()
        self._is_busy = False
        self._waiting: deque[Turn] = deque()

    @contextmanager
    def transaction(self, deadline: float) -> Iterator[Connection]:
        """Give the connection in a transaction, in which no other thread writes meanwhile.

        Args:
            deadline: When to stop waiting for others, in seconds of `time.monotonic()`.

        Raises:
            DatabaseUnavailable: The others took too long.

        """
        group = self._wait_for_turn(deadline)
        try:
            if group is None:
                group = Group(self._begin(deadline))
            with group.part() as connection:
                yield connection
        finally:
            self._pass_on(group)
            if group is not None:
                group.ended.result()

    def _wait_for_turn(self, deadline: float) -> Group | None:
        """Return the group that this thread joins, None if it begins one."""
        with self._lock:
            if not self._is_busy:
                self._is_busy = True
                return None
            turn = Turn()
            self._waiting.append(turn)
        try:
            return turn.result(max(0.0, deadline - time.monotonic()))
        except BaseException as error:
            # The time is up, or a signal has interrupted the thread.
            if not turn.cancel():  # the turn came at that very moment
                self._pass_on(turn.result())
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("it is busy") from None
            raise

    def _pass_on(self, group: Group | None) -> None:
        """Pass the turn on to the next thread: with the group, if it can still be joined."""
        with self._lock:
            if group is not None and group.is_open and self._call_next(group):
                return
        if group is not None:
            group.end()
        with self._lock:
            self._is_busy = self._call_next(None)

    def _call_next(self, group: Group | None) -> bool:
        """Give the turn to the first thread that still waits, and tell whether there is one."""
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.set_running_or_notify_cancel():
                turn.set_result(group)
                return True
        return False
