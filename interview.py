"""What a turn of an interview is: what is stored when, and what the model is asked.

Knows neither HTTP nor SQL. The protocol, which holds for any number of threads and processes:

- What an applicant says is stored before the model is asked. Until it is answered it is open.
- What is said while a message is open is joined to it; said twice in a row, it counts once.
- An answer is stored only if nothing was stored since the model was asked; otherwise the answer
  that was stored meanwhile is taken, or the model is asked again.

So a transcript always alternates, no process needs to know of another, no lock is held while the
model thinks, and what a killed process leaves behind is an open message like any other.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import groupby, takewhile
from threading import BoundedSemaphore
from typing import Literal, NamedTuple

import metrics
import telemetry
from config import Config
from errors import (
    AlreadyStarted,
    DatabaseUnavailable,
    Finished,
    KeyReused,
    NotStarted,
    Overloaded,
    TranscriptFull,
)
from llm import LLM, ChatMessage, LLMError
from messages import Applicant, Database, InterviewKey, Message, Messages, Role
from shared_calls import SharedCalls

# Between what an applicant says in several messages before the interviewer answers.
JOINT = "\n\n"

Status = Literal["uninitiated", "started", "finished"]


class TranscriptMessage(NamedTuple):
    """A message as recruiters read it: all that one side said in its turn.

    `role` is `system` for the prompt, which is first, and for the interviewer, `user` for the
    applicant. `timestamp` is UTC, `YYYY-MM-DD HH:MM:SS`.
    """

    id: int
    content: str
    timestamp: str
    role: Role


class Interviews:
    """All interviews: the applicants' turns, and what recruiters ask about them."""

    def __init__(self, database: Database, llm: LLM, config: Config) -> None:
        self._database = database
        self._llm = llm
        self._config = config
        self._calls = SharedCalls[str | None]()
        self._turns = BoundedSemaphore(config.max_model_calls)

    def start(
        self, interview: InterviewKey, prompt: str, idempotency_key: str | None = None
    ) -> str:
        """Start the interview and return the interviewer's opening.

        Raises:
            AlreadyStarted: It is started, and not by a request with this key.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; nothing is stored.
            Overloaded: Too many turns are under way in this process; nothing is stored.

        """
        with self._turn():
            return self._start(interview, prompt, idempotency_key)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Take one of the places for turns under way, or refuse at once."""
        if not self._turns.acquire(blocking=False):
            raise Overloaded
        with metrics.UNDER_WAY.track_inprogress():
            try:
                yield
            finally:
                self._turns.release()

    def _start(self, interview: InterviewKey, prompt: str, idempotency_key: str | None) -> str:
        deadline = time.monotonic() + self._config.reply_deadline
        while True:
            with self._database.reading() as messages:
                opening = _opening_by_key(messages, interview, prompt, idempotency_key)
            if opening is not None:
                return opening
            with telemetry.waiting():
                opening, is_ours = self._calls.share(
                    (interview, prompt),
                    partial(self._open, interview, prompt, idempotency_key, deadline),
                    deadline,
                )
            if is_ours and opening is not None:
                return opening

    def _open(
        self, interview: InterviewKey, prompt: str, idempotency_key: str | None, deadline: float
    ) -> str | None:
        """Ask for the opening and store it with the prompt; None if another start was faster."""
        opening = self._llm.answer([{"role": "system", "content": prompt}], deadline)
        with self._database.transaction(interview) as messages:
            stored = messages.of(interview)
            if _is_started(stored):
                return None
            # What a failed start left in an older file are places for these two: a prompt whose
            # interview never began, or empty messages in front of what the applicant wrote.
            prompt_place, opening_place = (*stored[:2], None, None)[:2]
            prompt_id = _put(messages, interview, prompt_place, prompt)
            _put(messages, interview, opening_place, opening, self._is_closing(opening))
            if idempotency_key is not None:
                request = _fingerprint("start", prompt)
                messages.remember_key(interview, idempotency_key, request, prompt_id)
        return opening

    def reply(self, interview: InterviewKey, text: str, idempotency_key: str | None = None) -> str:
        """Take what the applicant says and return the interviewer's answer.

        Raises:
            NotStarted: There is no such interview.
            Finished: The interviewer has closed it.
            TranscriptFull: The text does not fit into the transcript.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; the text is stored and open.
            Overloaded: Too many turns are under way in this process; nothing is stored.

        """
        with self._turn():
            return self._reply(interview, text, idempotency_key)

    def _reply(self, interview: InterviewKey, text: str, idempotency_key: str | None) -> str:
        deadline = time.monotonic() + self._config.reply_deadline
        # Not synced yet, which would be for nothing: nobody is told before the answer is stored,
        # and that is synced, or before `sync` below.
        with self._database.transaction(interview, synced=False) as messages:
            request = _fingerprint("reply", text)
            history, known = _recall(messages, interview, idempotency_key, request)
            if known is None:
                message = self._take(messages, interview, history, text)
                if idempotency_key is not None:
                    messages.remember_key(interview, idempotency_key, request, message.id)
            else:
                message = next(message for message in history if message.id == known)
        try:
            return self._answer_of(interview, history, message, deadline)
        except LLMError:
            self._database.sync()
            with self._database.reading() as messages:
                _expect(message, messages.of(interview))
            raise

    def _answer_of(
        self, interview: InterviewKey, history: list[Message], message: Message, deadline: float
    ) -> str:
        """Return the interviewer's answer to the applicant's message, stored by whomever."""
        while True:
            answer = _answer_to(message, history)
            if answer is not None:
                return answer
            # Whoever has the same history in front of it asks the model the same.
            newest = history[-1]
            with telemetry.waiting():
                answer, _ = self._calls.share(
                    (interview, newest),
                    partial(self._answer, interview, history, deadline),
                    deadline,
                )
            if answer is not None:
                return answer
            with self._database.reading() as messages:
                history = messages.of(interview)
            _expect(message, history)

    def _take(
        self, messages: Messages, interview: InterviewKey, history: list[Message], text: str
    ) -> Message:
        """Store the applicant's text, unless it is stored, and return the message that has it.

        The history grows by what is stored.
        """
        if not _is_started(history):
            raise NotStarted
        if _is_finished(history):
            raise Finished
        message = _said_again(history, text)
        if message is None:
            length = sum(len(message.content) for message in history) + len(text)
            if length > self._config.max_transcript_chars:
                raise TranscriptFull(
                    f"The interview would exceed {self._config.max_transcript_chars} characters."
                )
            message = messages.add(interview, "user", text)
            history.append(message)
        return message

    def _answer(
        self, interview: InterviewKey, history: list[Message], deadline: float
    ) -> str | None:
        """Ask for the answer to the open message and store it; None if the history has changed."""
        answer = self._llm.answer(_conversation(history), deadline)
        with self._database.transaction(interview) as messages:
            # The whole of it, as a database that has crashed may give the same id again.
            if messages.newest(interview) != history[-1]:
                return None
            messages.add(interview, "system", answer, is_finished=self._is_closing(answer))
        return answer

    def _is_closing(self, content: str) -> bool:
        return self._config.closing_phrase.casefold() in content.casefold()

    def transcript(self, interview: InterviewKey) -> list[TranscriptMessage]:
        """Return what was said, prompt first and strictly alternating; empty if nothing was."""
        with self._database.reading() as messages:
            return _transcript(messages.of(interview))

    def status(self, interview: InterviewKey) -> Status:
        """Return how far the interview is."""
        with self._database.reading() as messages:
            history = messages.of(interview)
        if not _is_started(history):
            return "uninitiated"
        return "finished" if _is_finished(history) else "started"

    def applicants(self, access_key: str) -> list[Applicant]:
        """Return everyone with an interview under the access key."""
        with self._database.reading() as messages:
            return messages.applicants(access_key)

    def finished(self, access_key: str) -> list[Applicant]:
        """Return everyone whose interview under the access key is finished."""
        with self._database.reading() as messages:
            return messages.finished(access_key)

    def close(self) -> None:
        """Close the connections to database and model."""
        self._database.close()
        self._llm.close()


def _expect(message: Message, history: Sequence[Message]) -> None:
    """Tell that the message is gone, should a database have crashed before it was synced."""
    if message not in history:
        raise DatabaseUnavailable("it crashed, and your message is not stored")


def _put(
    messages: Messages,
    interview: InterviewKey,
    place: Message | None,
    content: str,
    is_finished: bool = False,
) -> int:
    """Store what the interviewer's side says, in its place if it has one, and return its id."""
    if place is None:
        return messages.add(interview, "system", content, is_finished=is_finished).id
    if place.content not in ("", content):
        messages.set_aside(interview, place)
    messages.fill(place.id, content, is_finished=is_finished)
    return place.id


def _is_started(history: Sequence[Message]) -> bool:
    """Tell whether the interviewer has said anything; the first message is the prompt."""
    return any(message.role == "system" and message.content for message in history[1:])


def _is_finished(history: Iterable[Message]) -> bool:
    return any(message.is_finished for message in history)


def _opening_by_key(
    messages: Messages, interview: InterviewKey, prompt: str, idempotency_key: str | None
) -> str | None:
    """Return the opening if the interview was started by this very request, None if not at all."""
    request = _fingerprint("start", prompt)
    history, known = _recall(messages, interview, idempotency_key, request)
    if known is not None:
        return history[1].content
    if _is_started(history):
        raise AlreadyStarted
    return None


def _recall(
    messages: Messages, interview: InterviewKey, idempotency_key: str | None, request: str
) -> tuple[list[Message], int | None]:
    """Return what was said, and the id of the message that this request brought if it came before.

    Without a key no request has come before.
    """
    if idempotency_key is None:
        return messages.of(interview), None
    history, known = messages.of_with_key(interview, idempotency_key)
    if known is None:
        return history, None
    first_request, message_id = known
    if first_request != request:
        raise KeyReused
    return history, message_id


def _fingerprint(endpoint: str, text: str) -> str:
    """Return what tells one request to an interview from another."""
    return sha256(f"{endpoint}\n{text}".encode()).hexdigest()


def _said_again(history: Sequence[Message], text: str) -> Message | None:
    """Return the open message's newest part if the text repeats it, or the message as a whole."""
    open_parts = list(takewhile(lambda message: message.role == "user", reversed(history)))
    if open_parts and text in (open_parts[0].content, _joined(reversed(open_parts))):
        return open_parts[0]
    return None


def _answer_to(message: Message, history: Iterable[Message]) -> str | None:
    """Return what the interviewer said after the applicant's message."""
    return next(
        (later.content for later in history if later.id > message.id and later.role == "system"),
        None,
    )


def _turns(history: Sequence[Message]) -> list[list[Message]]:
    """Group the messages by who speaks; the prompt, first, is for itself."""
    turns: list[list[Message]] = []
    for message in history:
        if len(turns) > 1 and turns[-1][0].role == message.role:
            turns[-1].append(message)
        else:
            turns.append([message])
    return turns


def _joined(turn: Iterable[Message]) -> str:
    """Return the turn's text. What stands there twice in a row was sent again, not said again."""
    return JOINT.join(content for content, _ in groupby(message.content for message in turn))


def _transcript(history: Sequence[Message]) -> list[TranscriptMessage]:
    return [
        TranscriptMessage(turn[0].id, _joined(turn), turn[0].date_created[:19], turn[0].role)
        for turn in _turns(history)
    ]


def _conversation(history: Sequence[Message]) -> list[ChatMessage]:
    """Return the history as the model reads it.

    It only ever grows at the end, so that the provider can cache what it has read before.
    """
    conversation: list[ChatMessage] = [{"role": "system", "content": history[0].content}]
    for turn in _turns(history)[1:]:
        content = turn[0].content if len(turn) == 1 else _joined(turn)
        if content:
            role: Literal["assistant", "user"] = "user" if turn[0].role == "user" else "assistant"
            conversation.append({"role": role, "content": content})
    return conversation
