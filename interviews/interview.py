"""One interview's turns: what is stored when, and what the model is asked.

Knows neither HTTP nor SQL. The protocol holds for any number of threads and processes:

- An applicant's message is stored before the model is asked. It stays open until it is answered.
- A message that arrives while another is open is joined to it; the same text twice in a row counts
  once.
- An answer is stored only if nothing was stored since the model was asked. Otherwise the answer
  that was stored meanwhile is returned, or the model is asked again.

So a transcript always alternates, no process needs to know of another, no lock is held while the
model thinks, and a killed process leaves an open message like any other.

A streamed turn emits the answer's pieces as the model gives them. Its call runs in a thread of its
own, so that the answer is stored even if the client has gone. Once a turn has ended well, what it
emitted is what is stored.
"""

from typing import Literal

from config import Config
from db import Applicant, Database, InterviewKey, Message, Messages
from interviews.errors import AlreadyStarted, Finished, NotStarted, TranscriptFull
from interviews.history import (
    TranscriptMessage,
    answer_to,
    conversation,
    is_finished,
    is_started,
    said_again,
    transcript,
    without_prompt,
)
from interviews.idempotency import fingerprint, recall
from interviews.shared_calls import Emit
from interviews.turns import Pieces, Turn, Turns
from llm import LLM

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
            Superseded: Another opening was stored than the one that was emitted.

        """
        with self._turns.begin(streamed=streamed) as turn:
            opening = yield from self._opening(turn, interview, prompt, idempotency_key)
            yield from turn.rest_of(opening)
            return opening

    def _opening(
        self, turn: Turn, interview: InterviewKey, prompt: str, idempotency_key: str | None
    ) -> Pieces:
        """Return the opening that this request has stored, now or before."""
        while True:
            with self._database.reading() as session:
                opening = _opening_by_key(Messages(session), interview, prompt, idempotency_key)
            if opening is not None:
                return opening
            opening, is_own = yield from turn.share(
                (interview, prompt, idempotency_key),
                lambda emit: self._ask_for_opening(
                    interview, prompt, idempotency_key, turn.deadline, emit
                ),
                emits=True,
                # Without a key only one of several equal starts succeeds; the others must not
                # emit a word.
                joins=idempotency_key is not None,
            )
            if is_own and opening is not None:
                return opening

    def _ask_for_opening(
        self,
        interview: InterviewKey,
        prompt: str,
        idempotency_key: str | None,
        deadline: float,
        emit: Emit | None,
    ) -> str | None:
        """Ask for the opening and store it with the prompt; None if another start was faster."""
        opening = self._llm.answer([{"role": "system", "content": prompt}], deadline, emit)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            stored = messages.of(interview)
            if is_started(stored):
                return None
            # A failed start of an older file left places for these two: a prompt whose interview
            # never began, or empty messages before what the applicant wrote.
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
        """Store the applicant's message and return the interviewer's answer.

        Raises:
            NotStarted: There is no such interview.
            Finished: The interviewer has closed it.
            TranscriptFull: The text does not fit into the transcript.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; the message is stored and open.
            Overloaded: Too many turns are under way in this process; nothing is stored.
            Superseded: Another answer was stored than the one that was emitted.

        """
        with self._turns.begin(streamed=streamed) as turn:
            history, message, is_new = self._take(interview, text, idempotency_key)
            answer = yield from self._answer(turn, interview, history, message, is_new=is_new)
            yield from turn.rest_of(answer)
            return answer

    def _take(
        self, interview: InterviewKey, text: str, idempotency_key: str | None
    ) -> tuple[list[Message], Message, bool]:
        """Store the applicant's message, unless it is stored already.

        Return the history with it, the message, and whether it was stored now.
        """
        request = fingerprint("reply", text)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            history, known = recall(messages, interview, idempotency_key, request)
            if known is not None:
                return history, next(message for message in history if message.id == known), False
            if not is_started(history):
                raise NotStarted
            if is_finished(history):
                raise Finished
            message = said_again(history, text)
            is_new = message is None
            if message is None:
                self._refuse_too_long(history, text)
                message = messages.add(interview, "user", text)
                history.append(message)
            if idempotency_key is not None:
                messages.remember_key(interview, idempotency_key, request, message.id)
        return history, message, is_new

    def _refuse_too_long(self, history: list[Message], text: str) -> None:
        length = sum(len(message.content) for message in history) + len(text)
        if length > self._config.max_transcript_chars:
            raise TranscriptFull(
                f"The interview would exceed {self._config.max_transcript_chars} characters."
            )

    def _answer(
        self,
        turn: Turn,
        interview: InterviewKey,
        history: list[Message],
        message: Message,
        *,
        is_new: bool,
    ) -> Pieces:
        """Return the interviewer's answer to the applicant's message, whoever has stored it."""
        answer = answer_to(message, history)
        if answer is not None:
            return answer
        # Threads with the same history ask the model the same question.
        answer, _ = yield from turn.share(
            (interview, history[-1]),
            lambda emit: self._ask_for_answer(interview, history, turn.deadline, emit),
            # Another process may be about to answer a message that was open before: its answer is
            # emitted once it is stored, and no piece of this call before.
            emits=is_new,
        )
        if answer is not None:
            return answer
        with self._database.reading() as session:
            newer = Messages(session).of(interview)
        return (yield from self._answer(turn, interview, newer, message, is_new=False))

    def _ask_for_answer(
        self, interview: InterviewKey, history: list[Message], deadline: float, emit: Emit | None
    ) -> str | None:
        """Ask for the answer to the open message and store it; None if the history has changed."""
        answer = self._llm.answer(conversation(history), deadline, emit)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            if messages.newest(interview) != history[-1]:
                return None
            messages.append(interview, "system", answer, is_finished=self._is_closing(answer))
        return answer

    def _is_closing(self, content: str) -> bool:
        return self._config.closing_phrase.casefold() in content.casefold()

    def transcript(
        self, interview: InterviewKey, *, with_prompt: bool = True
    ) -> list[TranscriptMessage]:
        """Return the transcript, prompt first and strictly alternating; empty if there is none."""
        with self._database.reading() as session:
            history = Messages(session).of(interview)
        return transcript(history if with_prompt else without_prompt(history))

    def status(self, interview: InterviewKey) -> Status:
        """Return the interview's status."""
        with self._database.reading() as session:
            history = Messages(session).of(interview)
        if not is_started(history):
            return "uninitiated"
        return "finished" if is_finished(history) else "started"

    def applicants(self, access_key: str) -> list[Applicant]:
        """Return everyone with an interview under the access key."""
        with self._database.reading() as session:
            return Messages(session).applicants(access_key)

    def finished(self, access_key: str) -> list[Applicant]:
        """Return everyone whose interview under the access key is finished."""
        with self._database.reading() as session:
            return Messages(session).finished(access_key)

    def close(self) -> None:
        """Close the connections to database and model."""
        self._database.close()
        self._llm.close()


def _put(
    messages: Messages,
    interview: InterviewKey,
    place: Message | None,
    content: str,
    is_finished: bool = False,
) -> int:
    """Store a message of the interviewer's side, in its place if it has one, and return its id."""
    if place is None:
        return messages.add(interview, "system", content, is_finished=is_finished).id
    if place.content not in ("", content):
        messages.set_aside(interview, place)
    messages.fill(place.id, content, is_finished=is_finished)
    return place.id


def _opening_by_key(
    messages: Messages, interview: InterviewKey, prompt: str, idempotency_key: str | None
) -> str | None:
    """Return the opening if this request started the interview before; None if none did."""
    request = fingerprint("start", prompt)
    history, known = recall(messages, interview, idempotency_key, request)
    if known is not None:
        return history[1].content
    if is_started(history):
        raise AlreadyStarted
    return None
