"""Group commit: threads that wait to write share one transaction, and so one sync of the disk.

Who has written hands the transaction on to the thread that waits the longest; the last one commits.
Only then do all of them go on: what one has read of another's may still be undone until then.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

from storage.errors import DatabaseUnavailable
from storage.sqlite.driver import sqlite3

# Writers of one transaction. The first of them waits for the last one, and so do other processes.
MAX_WRITERS = 16

Begin = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""Begins a transaction, and commits it, or rolls it back after an error."""


class Group:
    """Threads that write in one transaction, one after the other."""

    def __init__(self, begin: Begin) -> None:
        self._writers = 0
        self._error: BaseException | None = None
        self.ended = Future[None]()
        self._transaction = ExitStack()
        # Last, so that nothing can fail that would leave it open.
        self._connection = self._transaction.enter_context(begin())

    @property
    def is_open(self) -> bool:
        """Whether another thread may write in it."""
        return self._error is None and self._writers < MAX_WRITERS

    @contextmanager
    def part(self) -> Iterator[sqlite3.Connection]:
        """Let a thread write. If it fails, no more than what it has written is undone."""
        is_first = self._writers == 0
        self._writers += 1
        try:
            if not is_first:
                self._connection.execute("SAVEPOINT part")
            yield self._connection
            if not is_first:
                self._connection.execute("RELEASE part")
        except BaseException as error:
            # On a full disk, say, SQLite has undone by itself what the others have written as well.
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
        """Commit, or roll back if a part has failed for all, and tell those who have written."""
        try:
            with self._transaction:
                if self._error is not None:
                    raise self._error  # noqa: TRY301  # so that it is rolled back
        except BaseException as error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)


class _Waiting:
    """A thread that waits for its turn, and the group that it joins then, if there is one."""

    def __init__(self) -> None:
        self.group: Group | None = None
        self.turn = Lock()
        self.turn.acquire()


class GroupCommit:
    """Whose turn it is to write: one thread at a time, in the order in which they come."""

    def __init__(self, begin: Begin, timeout: float) -> None:
        """Take the seconds that a thread waits for its turn."""
        self._begin = begin
        self._timeout = timeout
        self._lock = Lock()
        self._is_busy = False
        self._waiting: deque[_Waiting] = deque()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection in a transaction, in which no other thread writes meanwhile.

        Raises:
            DatabaseUnavailable: The others took too long.

        """
        group = self._turn()
        if group is None:
            try:
                group = Group(self._begin)
            except BaseException:
                self._end_turn()
                raise
        try:
            with group.part() as connection:
                yield connection
        finally:
            if not self._hand_on(group):
                group.end()
                self._end_turn()
            group.ended.result()

    def _turn(self) -> Group | None:
        """Wait for this thread's turn, and return the group that it joins, if there is one."""
        with self._lock:
            if not self._is_busy:
                self._is_busy = True
                return None
            waiting = _Waiting()
            self._waiting.append(waiting)
        if not waiting.turn.acquire(timeout=self._timeout):
            with self._lock:
                # Else the turn came at the very last moment, and must be taken.
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
                    raise DatabaseUnavailable("it is busy")
        return waiting.group

    def _hand_on(self, group: Group) -> bool:
        """Give the turn to the next thread if it can join the group, and tell whether it can."""
        with self._lock:
            if not self._waiting or not group.is_open:
                return False
            self._call_next(group)
            return True

    def _end_turn(self) -> None:
        """Give the turn to the next thread, or to whoever comes."""
        with self._lock:
            if self._waiting:
                self._call_next(None)
            else:
                self._is_busy = False

    def _call_next(self, group: Group | None) -> None:
        following = self._waiting.popleft()
        following.group = group
        following.turn.release()
