"""Calls under way in this process, shared by the threads that ask the same question.

Knows nothing of what is asked. A call may emit its result piece by piece; a listener that comes
later gets the pieces so far at once. No listener owns the call: one that leaves, or reads slowly,
holds up neither the call nor the others.
"""

import logging
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from threading import Condition, Lock, Thread
from typing import Generic, TypeVar

from errors import ApiError

log = logging.getLogger(__name__)

# Seconds without a piece after which a listener gets a heartbeat.
HEARTBEAT = 5.0

# web/gunicorn_worker.py knows by it the threads that a process must wait for before it ends.
THREAD_NAME = "shared call"

Result = TypeVar("Result")

Emit = Callable[[str], None]
"""Takes each piece of a result as it comes."""

Call = Callable[[Emit | None], Result]
"""Returns its result by its own deadline, and emits its pieces before, if it is given an `Emit`."""


class SharedCall(Generic[Result]):
    """A call under way, or one that has just ended; `ended` has its result or its error."""

    def __init__(self) -> None:
        self.ended: Future[Result] = Future()
        self._pieces: list[str] = []
        self._changed = Condition()

    def make(self, call: Call[Result], *, emits: bool) -> None:
        """Make the call, and give its result or its error to all who wait."""
        try:
            self.ended.set_result(call(self._emit if emits else None))
        except BaseException as error:
            self.ended.set_exception(error)
        self._wake_listeners()

    def fail(self, error: BaseException) -> None:
        """Give the error to all who wait."""
        self.ended.set_exception(error)
        self._wake_listeners()

    def pieces(self, deadline: float) -> Iterator[list[str]]:
        """Yield the pieces from the first one on, as they come, until the call ends.

        An empty list is a heartbeat.

        Args:
            deadline: When to stop listening, in seconds of `time.monotonic()`.

        """
        count = 0
        while (left := deadline - time.monotonic()) > 0:
            with self._changed:
                if len(self._pieces) == count and not self.ended.done():
                    self._changed.wait(min(left, HEARTBEAT))
                pieces = self._pieces[count:]
                has_ended = self.ended.done()
            if not pieces and has_ended:
                return
            count += len(pieces)
            yield pieces

    def _emit(self, piece: str) -> None:
        with self._changed:
            self._pieces.append(piece)
            self._changed.notify_all()

    def _wake_listeners(self) -> None:
        with self._changed:
            self._changed.notify_all()


class SharedCalls(Generic[Result]):
    """The calls under way, by their question."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[Hashable, SharedCall[Result]] = {}

    def join(
        self, question: Hashable, call: Call[Result], *, in_thread: bool, emits: bool
    ) -> tuple[SharedCall[Result], bool]:
        """Return the call that asks the question, and whether this thread began it.

        Args:
            question: What is asked.
            call: Gets the answer; made unless another thread is asking the same.
            in_thread: Whether to make the call in a thread of its own and return at once.
                Otherwise it is made here, and has ended on return.
            emits: Whether the call is to emit its pieces.

        """
        with self._lock:
            shared = self._under_way.get(question)
            if shared is not None:
                return shared, False
            shared = self._under_way[question] = SharedCall()
        if not in_thread:
            self._make(question, shared, call, emits=emits)
            return shared, True
        # The call's figures belong to the request, whose record is in this context.
        context = copy_context()
        thread = Thread(
            target=lambda: context.run(self._make_and_log, question, shared, call, emits=emits),
            name=THREAD_NAME,
            daemon=False,  # Python waits for it before it ends
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            shared.fail(error)
            self._forget(question)
        return shared, True

    def _make(
        self, question: Hashable, shared: SharedCall[Result], call: Call[Result], *, emits: bool
    ) -> None:
        shared.make(call, emits=emits)
        self._forget(question)

    def _make_and_log(
        self, question: Hashable, shared: SharedCall[Result], call: Call[Result], *, emits: bool
    ) -> None:
        self._make(question, shared, call, emits=emits)
        error = shared.ended.exception()
        if error is not None and not isinstance(error, ApiError):
            # Perhaps no listener is left that would log it.
            log.error("A call ended unexpectedly", exc_info=error)

    def _forget(self, question: Hashable) -> None:
        with self._lock:
            del self._under_way[question]
