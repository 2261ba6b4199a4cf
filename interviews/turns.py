"""Turns under way in this process: how many there may be, and what each emits.

Knows what a turn has emitted, and nothing of what is stored.
"""

import time
from collections.abc import Generator, Hashable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from config import Config
from interviews.errors import Overloaded, Superseded
from interviews.shared_calls import Call, SharedCall, SharedCalls
from llm import LLMError
from monitoring import metrics, request_record

Pieces = Generator[list[str], None, str]
"""The interviewer's message: its pieces as they come, and at the end the whole, as it is stored.

Nothing is done before the first pieces are asked for. An empty list is a heartbeat.
"""


def whole(pieces: Pieces) -> str:
    """Wait for the end, and return the whole message."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            message: str = end.value
            return message


class Turn:
    """A start or a reply under way."""

    def __init__(self, calls: SharedCalls[str | None], deadline: float, *, streamed: bool) -> None:
        self.deadline = deadline
        self.streamed = streamed
        self.emitted = ""
        self._calls = calls
        self.own_call: SharedCall[str | None] | None = None

    def share(
        self, question: Hashable, call: Call[str | None], *, emits: bool, joins: bool = True
    ) -> Generator[list[str], None, tuple[str | None, bool]]:
        """Return the call's result, and whether this thread made the call.

        A failed call fails for all who share it, unless it came to the end of its own time: a turn
        that has time left tries again.

        Args:
            question: What is asked. Threads that ask the same share one call.
            call: Gets the answer by the turn's deadline.
            emits: Whether the call emits pieces, if this thread makes it for a streamed turn.
            joins: Whether to emit the pieces of a call that another thread made.

        """
        while True:
            # Once a turn has emitted pieces of one call, those of another would not fit.
            can_emit = self.streamed and not self.emitted
            with request_record.waiting():
                shared, is_own = self._calls.join(
                    question, call, in_thread=self.streamed, emits=emits and can_emit
                )
            if is_own:
                self.own_call = shared
                request_record.current().call = shared.ended
            try:
                if self.streamed:
                    yield from self._listen(shared, emits=can_emit and (is_own or joins))
                with request_record.waiting():
                    return self._result(shared), is_own
            except LLMError as error:
                has_time = time.monotonic() < self.deadline
                if is_own or self.emitted or error.kind != "timeout" or not has_time:
                    raise

    def rest_of(self, message: str) -> Generator[list[str]]:
        """Emit what has not been emitted of the message that is stored.

        Raises:
            Superseded: Another message was emitted than the one that is stored.

        """
        if not message.startswith(self.emitted):
            raise Superseded
        if len(self.emitted) < len(message):
            yield [message[len(self.emitted) :]]

    def _listen(self, shared: SharedCall[str | None], *, emits: bool) -> Generator[list[str]]:
        """Emit the call's pieces, or only its heartbeats."""
        listening = shared.pieces(self.deadline)
        while True:
            with request_record.waiting():
                pieces = next(listening, None)
            if pieces is None:
                return
            if emits:
                self.emitted += "".join(pieces)
            if emits or not pieces:
                yield pieces

    def _result(self, shared: SharedCall[str | None]) -> str | None:
        try:
            return shared.ended.result(max(0.0, self.deadline - time.monotonic()))
        except TimeoutError:
            raise LLMError("timeout", "the call that was shared took too long") from None


class Turns:
    """The turns under way, which share their calls."""

    def __init__(self, config: Config) -> None:
        self._reply_deadline = config.reply_deadline
        self._places = BoundedSemaphore(config.max_model_calls)
        self._calls = SharedCalls[str | None]()

    @contextmanager
    def begin(self, *, streamed: bool) -> Iterator[Turn]:
        """Give a turn, which keeps its place until the call that it made, if any, has ended.

        Raises:
            Overloaded: All places are taken.

        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        metrics.add_turn(1)
        turn = Turn(self._calls, time.monotonic() + self._reply_deadline, streamed=streamed)
        try:
            yield turn
        finally:
            if turn.own_call is None:
                self._leave()
            else:
                turn.own_call.ended.add_done_callback(self._leave)

    def _leave(self, _ended: object = None) -> None:
        metrics.add_turn(-1)
        self._places.release()
