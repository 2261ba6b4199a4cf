"""Calls under way in this process: who asks the same hears the same.

Knows nothing of what is asked. A call may tell what it finds piece by piece; whoever comes later
hears the pieces so far at once. Nobody who listens owns it: one who goes away, or listens slowly,
holds up neither the call nor the others.
"""

import logging
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Generic, TypeVar

from completions import LLMError, Tell
from errors import ApiError

log = logging.getLogger(__name__)

# Seconds without a piece after which who listens gets a sign of life.
SIGN_OF_LIFE = 15.0

# By it serving.py knows the threads that a process must not end without.
THREAD_NAME = "shared call"

Result = TypeVar("Result")
Call = Callable[[Tell | None], Result]
"""Takes what is told its pieces, if anybody can listen meanwhile; ends by its own deadline."""


class SharedCall(Generic[Result]):
    """A call under way, or one that has just ended."""

    def __init__(self) -> None:
        self.ended: Future[Result] = Future()
        self._lock = Lock()
        self._told: list[str] = []
        self._listeners: list[SimpleQueue[str | None]] = []

    def make(self, call: Call[Result], *, is_heard: bool) -> None:
        """Make the call, and let all who wait have what comes of it."""
        try:
            result = call(self._tell if is_heard else None)
        except BaseException as error:
            self.fail(error)
        else:
            self.ended.set_result(result)
            self._end()

    def fail(self, error: BaseException) -> None:
        """Let all who wait have the error."""
        self.ended.set_exception(error)
        self._end()

    def pieces(self, deadline: float) -> Iterator[list[str]]:
        """Return what the call tells, from its first piece on, until it ends.

        Pieces come as soon as there are any, all that there are; none are a sign of life.

        Args:
            deadline: Until when to listen, in seconds of `time.monotonic()`.

        """
        heard: SimpleQueue[str | None] = SimpleQueue()
        with self._lock:
            for told in self._told:
                heard.put(told)
            if self.ended.done():
                heard.put(None)
            self._listeners.append(heard)
        while (left := deadline - time.monotonic()) > 0:
            pieces: list[str] = []
            with suppress(Empty):
                piece = heard.get(timeout=min(left, SIGN_OF_LIFE))
                while piece is not None:
                    pieces.append(piece)
                    piece = heard.get_nowait()
                if pieces:
                    yield pieces
                return
            yield pieces

    def result(self, deadline: float) -> Result:
        """Wait for what the call returns; what it raises is raised."""
        try:
            return self.ended.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise LLMError("timeout", "the call that was shared took too long") from None

    def _tell(self, piece: str) -> None:
        with self._lock:
            self._told.append(piece)
            for listener in self._listeners:
                listener.put(piece)

    def _end(self) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.put(None)


class SharedCalls(Generic[Result]):
    """The calls, by their question."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[Hashable, SharedCall[Result]] = {}

    def join(
        self, question: Hashable, call: Call[Result], *, in_thread: bool
    ) -> tuple[SharedCall[Result], bool]:
        """Return the call that asks this, and whether it is ours or another thread's.

        Args:
            question: What is asked.
            call: How to get the answer, if nobody is about to.
            in_thread: Whether to make it in a thread of its own and return at once, so that its
                pieces can be heard. Otherwise it is made here, and has ended on return.

        """
        with self._lock:
            shared = self._under_way.get(question)
            if shared is not None:
                return shared, False
            shared = self._under_way[question] = SharedCall()
        if not in_thread:
            self._make(question, shared, call, is_heard=False)
            return shared, True
        make = partial(self._make_alone, question, shared, call)
        # The figures of the call are the request's, whose record is in this context.
        context = copy_context()
        # No daemon: Python ends only after it, whoever has begun it.
        thread = Thread(target=context.run, args=(make,), name=THREAD_NAME, daemon=False)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            self._forget(question)
            shared.fail(error)
        return shared, True

    def _make_alone(
        self, question: Hashable, shared: SharedCall[Result], call: Call[Result]
    ) -> None:
        self._make(question, shared, call, is_heard=True)
        error = shared.ended.exception()
        if error is not None and not isinstance(error, ApiError):
            # Perhaps nobody is there any more to say so.
            log.error("A call ended unexpectedly", exc_info=error)

    def _make(
        self, question: Hashable, shared: SharedCall[Result], call: Call[Result], *, is_heard: bool
    ) -> None:
        try:
            shared.make(call, is_heard=is_heard)
        finally:
            self._forget(question)

    def _forget(self, question: Hashable) -> None:
        with self._lock:
            del self._under_way[question]
