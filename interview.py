"""What a turn of an interview is: what is stored when, and what the model is asked.

Knows neither HTTP nor SQL. The protocol, which holds for any number of threads and processes:

- What an applicant says is stored before the model is asked. Until it is answered it is open.
- What is said while a message is open is joined to it; said twice in a row, it counts once.
- An answer is stored only if nothing was stored since the model was asked; otherwise the answer
  that was stored meanwhile is taken, or the model is asked again.

So a transcript always alternates, no process needs to know of another, no lock is held while the
model thinks, and what a killed process leaves behind is an open message like any other.

There is one way through a turn, and it gives the answer in pieces. If it is streamed they come as
the model says them; the call goes on in a thread of its own, and the answer is stored even if
nobody listens any more. What was told is, once the turn has ended well, what is stored.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from completions import LLMError, Tell
from config import Config
from errors import (
    AlreadyStarted,
    DatabaseUnavailable,
    Finished,
    NotStarted,
    TranscriptFull,
)
from history import (
    TranscriptMessage,
    answer_to,
    conversation,
    is_finished,
    is_started,
    said_again,
    transcript,
)
from idempotency import fingerprint, recall
from llm import LLM
from messages import Applicant, Database, InterviewKey, Message, Messages
from turns import Pieces, Turn, Turns

Status = Literal["uninitiated", "started", "finished"]


class Interviews:
    """All interviews: the applicants' turns, and what recruiters ask about them."""

    def __init__(self, database: Database, llm: LLM, config: Config) -> None:
        self._database = database
        self._llm = llm
        self._config = config
        self._turns = Turns(config)

    def start(
        self,
        interview: InterviewKey,
        prompt: str,
        idempotency_key: str | None = None,
        *,
        streamed: bool = False,
    ) -> Pieces:
        """Start the interview and return the interviewer's opening.

        Raises:
            AlreadyStarted: It is started, and not by a request with this key.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; nothing is stored.
            Overloaded: Too many turns are under way in this process; nothing is stored.
            Superseded: Another opening was stored than the one that was told.

        """
        return self._turns.take(
            partial(self._start, interview, prompt, idempotency_key), streamed=streamed
        )

    def _start(
        self, interview: InterviewKey, prompt: str, idempotency_key: str | None, turn: Turn
    ) -> Pieces:
        while True:
            with self._database.reading() as messages:
                opening = _opening_by_key(messages, interview, prompt, idempotency_key)
            if opening is not None:
                return opening
            opening, is_ours = yield from self._turns.share(
                turn,
                (interview, prompt, idempotency_key),
                partial(self._open, interview, prompt, idempotency_key, turn.deadline),
                streams=turn.streamed and not turn.told,
                # Without a key only one of them is to succeed; the others must not be told a word.
                joins=idempotency_key is not None,
            )
            if is_ours and opening is not None:
                return opening

    def _open(
        self,
        interview: InterviewKey,
        prompt: str,
        idempotency_key: str | None,
        deadline: float,
        tell: Tell | None,
    ) -> str | None:
        """Ask for the opening and store it with the prompt; None if another start was faster."""
        opening = self._llm.answer([{"role": "system", "content": prompt}], deadline, tell)
        with self._database.transaction(interview) as messages:
            stored = messages.of(interview)
            if is_started(stored):
                return None
            # What a failed start left in an older file are places for these two: a prompt whose
            # interview never began, or empty messages in front of what the applicant wrote.
            prompt_place, opening_place = (*stored[:2], None, None)[:2]
            prompt_id = _put(messages, interview, prompt_place, prompt)
            _put(messages, interview, opening_place, opening, self._is_closing(opening))
            if idempotency_key is not None:
                request = fingerprint("start", prompt)
                messages.remember_key(interview, idempotency_key, request, prompt_id)
        return opening

    def reply(
        self,
        interview: InterviewKey,
        text: str,
        idempotency_key: str | None = None,
        *,
        streamed: bool = False,
    ) -> Pieces:
        """Take what the applicant says and return the interviewer's answer.

        Raises:
            NotStarted: There is no such interview.
            Finished: The interviewer has closed it.
            TranscriptFull: The text does not fit into the transcript.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; the text is stored and open.
            Overloaded: Too many turns are under way in this process; nothing is stored.
            Superseded: Another answer was stored than the one that was told.

        """
        return self._turns.take(
            partial(self._reply, interview, text, idempotency_key), streamed=streamed
        )

    def _reply(
        self, interview: InterviewKey, text: str, idempotency_key: str | None, turn: Turn
    ) -> Pieces:
        # Unless it is streamed, nobody is told a word before the answer is stored. That is synced,
        # and syncing this already would keep the model waiting for nothing.
        with self._database.transaction(interview, synced=turn.streamed) as messages:
            request = fingerprint("reply", text)
            history, known = recall(messages, interview, idempotency_key, request)
            stored = len(history)
            if known is None:
                message = self._take(messages, interview, history, text)
                if idempotency_key is not None:
                    messages.remember_key(interview, idempotency_key, request, message.id)
            else:
                message = next(message for message in history if message.id == known)
        try:
            return (
                yield from self._answer_of(
                    turn, interview, history, message, is_new=len(history) > stored
                )
            )
        except LLMError:
            self._database.sync()
            with self._database.reading() as messages:
                _expect(message, messages.of(interview))
            raise

    def _answer_of(
        self,
        turn: Turn,
        interview: InterviewKey,
        history: list[Message],
        message: Message,
        *,
        is_new: bool,
    ) -> Pieces:
        """Return the interviewer's answer to the applicant's message, stored by whomever."""
        while True:
            answer = answer_to(message, history)
            if answer is not None:
                return answer
            # Whoever has the same history in front of it asks the model the same.
            newest = history[-1]
            answer, _ = yield from self._turns.share(
                turn,
                (interview, newest),
                partial(self._answer, interview, history, turn.deadline),
                # To a message that was open before, another process may be about to store an
                # answer. That one would then be told, and not what the model says here. Nor is it
                # sure to be synced yet. So the whole is told once it is stored.
                streams=turn.streamed and is_new,
            )
            if answer is not None:
                return answer
            with self._database.reading() as messages:
                history = messages.of(interview)
            _expect(message, history)
            is_new = False

    def _take(
        self, messages: Messages, interview: InterviewKey, history: list[Message], text: str
    ) -> Message:
        """Store the applicant's text, unless it is stored, and return the message that has it.

        The history grows by what is stored.
        """
        if not is_started(history):
            raise NotStarted
        if is_finished(history):
            raise Finished
        message = said_again(history, text)
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
        self, interview: InterviewKey, history: list[Message], deadline: float, tell: Tell | None
    ) -> str | None:
        """Ask for the answer to the open message and store it; None if the history has changed."""
        answer = self._llm.answer(conversation(history), deadline, tell)
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
            return transcript(messages.of(interview))

    def status(self, interview: InterviewKey) -> Status:
        """Return how far the interview is."""
        with self._database.reading() as messages:
            history = messages.of(interview)
        if not is_started(history):
            return "uninitiated"
        return "finished" if is_finished(history) else "started"

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


def _opening_by_key(
    messages: Messages, interview: InterviewKey, prompt: str, idempotency_key: str | None
) -> str | None:
    """Return the opening if the interview was started by this very request, None if not at all."""
    request = fingerprint("start", prompt)
    history, known = recall(messages, interview, idempotency_key, request)
    if known is not None:
        return history[1].content
    if is_started(history):
        raise AlreadyStarted
    return None
