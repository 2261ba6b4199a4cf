"""Calls under way in this process: who asks the same waits for the same answer.

Knows nothing of what is asked.
"""

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from llm import LLMError

Result = TypeVar("Result")


class SharedCalls(Generic[Result]):
    """The calls, by their question."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[Hashable, Future[Result]] = {}

    def share(
        self, question: Hashable, call: Callable[[], Result], deadline: float
    ) -> tuple[Result, bool]:
        """Return the call's result, and whether it was ours or another thread's.

        A failed call fails for all who share it, unless it came to the end of its own time:
        whoever has some left tries again.

        Args:
            question: What is asked.
            call: How to get the answer; it must end by the deadline.
            deadline: Until when to wait for another thread's, in seconds of `time.monotonic()`.

        """
        while True:
            with self._lock:
                future = self._under_way.get(question)
                if future is None:
                    ours = self._under_way[question] = Future()
                    break
            try:
                return future.result(max(0.0, deadline - time.monotonic())), False
            except TimeoutError:
                raise LLMError("timeout", "the call that was shared took too long") from None
            except LLMError as error:
                if error.kind != "timeout":
                    raise
        try:
            ours.set_result(call())
        except BaseException as error:
            ours.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[question]
        return ours.result(), True
