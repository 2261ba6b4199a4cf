"""One interview's turns: what is stored when, and what the model is asked.

Knows neither HTTP nor SQL. The protocol holds for any number of threads and processes:

- An applicant's message is stored before the model is asked. It stays open until it is answered.
- A message that arrives while another is open is joined to it; the same text twice in a row counts
  once.
- An answer is stored only if nothing was stored since the model was asked. Otherwise the answer
  that was stored meanwhile is returned, or the model is asked again.
- A message that is stored after the position's time limit is the last one: the interview is
  finished with its answer. This follows from the stored times, whoever asks for the answer.

So a transcript always alternates, no process needs to know of another, no lock is held while the
model thinks, and a killed process leaves an open message like any other.

A streamed turn emits the answer's pieces as the model gives them. Its call runs in a thread of its
own, so that the answer is stored even if the client has gone. Once a turn has ended well, what it
emitted is what is stored.

An interview may be erased while its turn is under way, and even be started again: nothing of the
turn is stored then. A reply sees it by its message, whose id no other ever has; a start by the
number of erasures.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from config import Config
from db import (
    Applicant,
    AuditTrail,
    Corrections,
    Database,
    Erasures,
    InterviewKey,
    Message,
    Messages,
    PositionTerms,
    Session,
)
from interviews.errors import AlreadyStarted, Erased, Finished, NotStarted, TranscriptFull
from interviews.history import (
    TranscriptMessage,
    answer_to,
    conversation,
    corrected,
    is_finished,
    is_started,
    said_again,
    transcript,
    without_prompt,
)
from interviews.idempotency import fingerprint, recall
from interviews.shared_calls import Emit
from interviews.terms import (
    is_time_up,
    last_question,
    prompt_of_start,
    refuse_without_consent,
)
from interviews.turns import Pieces, Turn, Turns
from llm import LLM
from monitoring import request_record

Status = Literal["uninitiated", "started", "finished"]

WhenFinished = Callable[[Session, InterviewKey], None]
"""Takes an interview that has just been finished, in the transaction that stores its last message.

What it stores is stored with that message, or neither is. Others wait for it: it asks no model.
"""


class Interviews:
    """All interviews: the applicants' turns, and what recruiters ask about them."""

    def __init__(
        self,
        database: Database,
        llm: LLM,
        config: Config,
        when_finished: Sequence[WhenFinished] = (),
    ) -> None:
        self._database = database
        self._llm = llm
        self._config = config
        self._when_finished = when_finished
        self._turns = Turns(config)

    def start(
        self,
        interview: InterviewKey,
        prompt: str | None = None,
        idempotency_key: str | None = None,
        *,
        streamed: bool = False,
        erasure: int | None = None,
    ) -> Pieces:
        """Start the interview and return the interviewer's opening.

        Args:
            interview: The interview.
            prompt: What the model is told; None for the prompt of the access key's position.
            idempotency_key: The request's key, if it has one.
            streamed: Whether the pieces are returned as they come.
            erasure: The number of the interview's newest erasure when the caller was let in; None
                for that of now.

        Raises:
            AlreadyStarted: It is started, and not by a request with this key.
            KeyReused: The key came with another request before.
            PositionClosed: The access key's position takes no further applicants.
            Erased: It was erased meanwhile.
            NoPrompt: There is no prompt, as the access key has no position.
            ConsentMissing: The position asks for the applicant's consent, which is not there.
            LLMError: The model did not answer; nothing is stored.
            Overloaded: Too many turns are under way in this process; nothing is stored.
            Superseded: Another opening was stored than the one that was emitted.

        """
        with self._turns.begin(streamed=streamed) as turn:
            opening = yield from self._opening(turn, interview, prompt, idempotency_key, erasure)
            yield from turn.rest_of(opening)
            return opening

    def _opening(
        self,
        turn: Turn,
        interview: InterviewKey,
        prompt: str | None,
        idempotency_key: str | None,
        erasure: int | None,
    ) -> Pieces:
        """Return the opening that this request has stored, now or before."""
        # A start without a prompt is the same request whatever the position's prompt is by then. No
        # prompt is empty.
        request = fingerprint("start", prompt or "")
        while True:
            with self._database.reading() as session:
                if erasure is None:
                    erasure = Erasures(session).newest(interview)()
                opening = _opening_by_key(Messages(session), interview, request, idempotency_key)
                if opening is not None:
                    return opening
                terms = PositionTerms(session).of(interview.access_key)
                own_prompt = prompt_of_start(prompt, terms)
                refuse_without_consent(session, interview, terms)
            opening, is_own = yield from turn.share(
                (interview, request, idempotency_key),
                partial(
                    self._ask_for_opening,
                    *(interview, own_prompt, request, idempotency_key, erasure, turn.deadline),
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
        request: str,
        idempotency_key: str | None,
        erasure: int,
        deadline: float,
        emit: Emit | None,
    ) -> str | None:
        """Ask for the opening and store it with the prompt; None if another start was faster.

        Raises:
            Erased: The interview was erased since its newest erasure was this one.

        """
        opening = self._llm.answer([{"role": "system", "content": prompt}], deadline, emit)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            newest_erasure = Erasures(session).newest(interview)
            stored = messages.of(interview)
            if newest_erasure() != erasure:
                raise Erased
            if is_started(stored):
                return None
            # A failed start of an older file left places for these two: a prompt whose interview
            # never began, or empty messages before what the applicant wrote.
            prompt_place, opening_place = (*stored[:2], None, None)[:2]
            prompt_id = _put(messages, interview, prompt_place, prompt)
            closes = self._is_closing(opening)
            _put(messages, interview, opening_place, opening, closes)
            if idempotency_key is not None:
                messages.remember_key(interview, idempotency_key, request, prompt_id)
            _note(session, interview, "interview.started")
            if closes:
                self._tell_finished(session, interview)
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
            Erased: It was erased meanwhile.
            TranscriptFull: The text does not fit into the transcript.
            KeyReused: The key came with another request before.
            LLMError: The model did not answer; the message is stored and open.
            Overloaded: Too many turns are under way in this process; nothing is stored.
            Superseded: Another answer was stored than the one that was emitted.

        """
        with self._turns.begin(streamed=streamed) as turn:
            taken = self._take(interview, text, idempotency_key)
            answer = yield from self._answer(turn, interview, taken)
            yield from turn.rest_of(answer)
            return answer

    def _take(self, interview: InterviewKey, text: str, idempotency_key: str | None) -> "_Taken":
        """Store the applicant's message, unless it is stored already."""
        request = fingerprint("reply", text)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            time_limit = PositionTerms(session).time_limit(interview.access_key)
            history, known = recall(messages, interview, idempotency_key, request)
            seconds = time_limit()
            if known is not None:
                message = next(message for message in history if message.id == known)
                return _Taken(history, message, seconds, is_new=False)
            if not is_started(history):
                raise NotStarted
            if is_finished(history):
                raise Finished
            repeated = said_again(history, text)
            if repeated is not None:
                message = repeated
            else:
                self._refuse_too_long(history, text)
                message = messages.add(interview, "user", text)
                history.append(message)
            if idempotency_key is not None:
                messages.remember_key(interview, idempotency_key, request, message.id)
        return _Taken(history, message, seconds, is_new=repeated is None)

    def _refuse_too_long(self, history: list[Message], text: str) -> None:
        length = sum(len(message.content) for message in history) + len(text)
        if length > self._config.max_transcript_chars:
            raise TranscriptFull(
                f"The interview would exceed {self._config.max_transcript_chars} characters."
            )

    def _answer(self, turn: Turn, interview: InterviewKey, taken: "_Taken") -> Pieces:
        """Return the interviewer's answer to the applicant's message, whoever has stored it."""
        history, message, time_limit, is_new = taken
        answer = answer_to(message, history)
        if answer is not None:
            return answer
        # Threads with the same history ask the model the same question.
        answer, _ = yield from turn.share(
            (interview, history[-1]),
            lambda emit: self._ask_for_answer(interview, history, time_limit, turn.deadline, emit),
            # Another process may be about to answer a message that was open before: its answer is
            # emitted once it is stored, and no piece of this call before.
            emits=is_new,
        )
        if answer is not None:
            return answer
        with self._database.reading() as session:
            newer = taken._replace(history=Messages(session).of(interview), is_new=False)
        if all(stored.id != message.id for stored in newer.history):
            raise Erased
        return (yield from self._answer(turn, interview, newer))

    def _ask_for_answer(
        self,
        interview: InterviewKey,
        history: list[Message],
        time_limit: int | None,
        deadline: float,
        emit: Emit | None,
    ) -> str | None:
        """Ask for the answer to the open message and store it; None if the history has changed."""
        is_last = is_time_up(history, time_limit)
        phrase = self._config.closing_phrase
        question = last_question(history, phrase) if is_last else conversation(history)
        answer = self._llm.answer(question, deadline, emit)
        with self._database.transaction(interview) as session:
            messages = Messages(session)
            if messages.newest(interview) != history[-1]:
                return None
            closes = is_last or self._is_closing(answer)
            messages.append(interview, "system", answer, is_finished=closes)
            if closes:
                self._tell_finished(session, interview)
        return answer

    def _tell_finished(self, session: Session, interview: InterviewKey) -> None:
        _note(session, interview, "interview.finished")
        for listener in self._when_finished:
            listener(session, interview)

    def _is_closing(self, content: str) -> bool:
        return self._config.closing_phrase.casefold() in content.casefold()

    def transcript(
        self, interview: InterviewKey, *, with_prompt: bool = True
    ) -> list[TranscriptMessage]:
        """Return the transcript, prompt first and strictly alternating; empty if there is none."""
        with self._database.reading() as session:
            history = Messages(session).of(interview)
            # Nobody can put a note to a message before the end.
            corrections = Corrections(session).newest(interview) if is_finished(history) else {}
        messages = transcript(history if with_prompt else without_prompt(history))
        return corrected(messages, corrections) if corrections else messages

    def has_position(self, access_key: str) -> bool:
        """Return whether interviews under the access key can be started without a prompt."""
        with self._database.reading() as session:
            return PositionTerms(session).of(access_key) is not None

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


class _Taken(NamedTuple):
    """An applicant's message that is stored, and what its answer follows from."""

    history: list[Message]
    message: Message
    time_limit: int | None
    is_new: bool
    """True if this request has stored it."""


def _note(session: Session, interview: InterviewKey, action: str) -> None:
    """Add an event to the audit trail, with the model that has just answered."""
    model = request_record.current().model
    detail = {"model": model} if model else {}
    AuditTrail(session).add(interview.access_key, action, interview, **detail)


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
    messages: Messages, interview: InterviewKey, request: str, idempotency_key: str | None
) -> str | None:
    """Return the opening if this request started the interview before; None if none did."""
    history, known = recall(messages, interview, idempotency_key, request)
    if known is not None:
        return history[1].content
    if is_started(history):
        raise AlreadyStarted
    return None
