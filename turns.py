"""Turns under way in this process: how many there may be, and how each hears the model.

Knows what a turn has been told, and nothing of what is stored.
"""

import time
from collections.abc import Callable, Generator
from threading import BoundedSemaphore

import metrics
import telemetry
from completions import LLMError
from config import Config
from errors import Overloaded, Superseded
from shared_calls import Call, SharedCall, SharedCalls

Pieces = Generator[list[str], None, str]
"""What the interviewer says, as it comes, and in the end the whole of it, as it is stored.

Nothing is done before the first pieces are asked for. None at all are a sign of life.
"""


def whole(pieces: Pieces) -> str:
    """Wait for the end, and return the whole."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            answer: str = end.value
            return answer


class Turn:
    """A start or a reply under way."""

    def __init__(self, deadline: float, *, streamed: bool) -> None:
        self.deadline = deadline
        self.streamed = streamed
        self.told: list[str] = []
        self.call: SharedCall[str | None] | None = None

    def hear(self, call: SharedCall[str | None], *, tells: bool) -> Generator[list[str]]:
        """Pass on what the call tells, or only its signs of life."""
        heard = call.pieces(self.deadline)
        while True:
            with telemetry.waiting():
                pieces = next(heard, None)
            if pieces is None:
                return
            if tells and pieces:
                self.told += pieces
            if tells or not pieces:
                yield pieces

    def when_over(self, then: Callable[[], None]) -> None:
        """Do this once the call that the turn has begun, if any, has ended as well."""
        if self.call is None:
            then()
        else:
            self.call.ended.add_done_callback(lambda _: then())


class Turns:
    """The turns, which share their calls."""

    def __init__(self, config: Config) -> None:
        self._reply_deadline = config.reply_deadline
        self._places = BoundedSemaphore(config.max_model_calls)
        self._calls = SharedCalls[str | None]()

    def take(self, steps: Callable[[Turn], Pieces], *, streamed: bool) -> Pieces:
        """Go through the steps of a turn, in one of the places.

        Raises:
            Overloaded: All are taken.
            Superseded: What the steps have told is not what they return.

        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        metrics.UNDER_WAY.inc()
        turn = Turn(time.monotonic() + self._reply_deadline, streamed=streamed)
        try:
            answer = yield from steps(turn)
            told = "".join(turn.told)
            if not answer.startswith(told):
                raise Superseded
            if len(told) < len(answer):
                yield [answer[len(told) :]]
            return answer
        finally:
            turn.when_over(self._leave)

    def _leave(self) -> None:
        metrics.UNDER_WAY.dec()
        self._places.release()

    def share(
        self,
        turn: Turn,
        question: tuple[object, ...],
        call: Call[str | None],
        *,
        streams: bool,
        joins: bool = True,
    ) -> Generator[list[str], None, tuple[str | None, bool]]:
        """Return what the call returns, and whether it was ours or another thread's.

        A failed call fails for all who share it, unless it came to the end of its own time:
        whoever has some left tries again.

        Args:
            turn: Whose pieces these are. Once it has been told any, it is told no other call's.
            question: What is asked.
            call: How to get the answer; it must end by the turn's deadline.
            streams: Whether to make the call so that its pieces can be heard.
            joins: Whether to tell the pieces of another thread's call.

        """
        while True:
            with telemetry.waiting():
                shared, is_ours = self._calls.join(question, call, in_thread=streams)
            if is_ours:
                turn.call = shared
                telemetry.current().call = shared.ended
            try:
                if turn.streamed:
                    yield from turn.hear(shared, tells=not turn.told and (is_ours or joins))
                with telemetry.waiting():
                    return shared.result(turn.deadline), is_ours
            except LLMError as error:
                has_time = time.monotonic() < turn.deadline
                if is_ours or turn.told or error.kind != "timeout" or not has_time:
                    raise
