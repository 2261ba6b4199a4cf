"""A position's terms in an interview: its prompt, when it may start, and when its time is up."""

from collections.abc import Sequence
from datetime import datetime

from db import Consents, InterviewKey, Message, Session, Terms
from interviews.errors import ConsentMissing, NoPrompt, PositionClosed
from interviews.history import conversation, opening
from llm import ChatMessage

# Follows the applicant's last message where that came after the time limit.
TIME_IS_UP = (
    "The time for this interview is up. The applicant's message above is the last one; they cannot"
    " answer any more. Ask no further question. Respond to the message in one or two sentences, say"
    " that the time is up, and end with exactly these words: {closing_phrase}"
)


def prompt_of_start(prompt: str | None, terms: Terms | None) -> str:
    """Return the prompt of an interview that is to be started.

    Args:
        prompt: The start's own; None for the position's.
        terms: Those of the access key's position; None if it has no position.

    Raises:
        PositionClosed: The position takes no further applicants.
        NoPrompt: There is neither a prompt nor a position.

    """
    if terms is not None and not terms.is_open:
        raise PositionClosed
    if prompt is not None:
        return prompt
    if terms is None:
        raise NoPrompt
    return terms.prompt


def refuse_without_consent(session: Session, interview: InterviewKey, terms: Terms | None) -> None:
    """Refuse a start without the consent that the position asks for.

    Where it asks for none, nothing is read. A consent is to the version of the notice that
    applicants are shown now; interviews that have begun go on, whatever is shown to others.

    Raises:
        ConsentMissing: The applicant has not accepted it.

    """
    if terms is None or not terms.is_consent_required:
        return
    version = terms.notice_version
    if version is None or Consents(session).accepted_at(interview, version) is None:
        raise ConsentMissing


def is_time_up(history: Sequence[Message], time_limit: int | None) -> bool:
    """Return whether the newest message was stored after the time limit.

    It follows from what is stored alone, so that every process comes to the same result, however
    long after.

    Args:
        history: The interview's messages, oldest first.
        time_limit: Seconds from the opening; None for no limit.

    """
    begin = opening(history)
    if time_limit is None or begin is None:
        return False
    try:
        elapsed = _time_of(history[-1]) - _time_of(begin)
    except ValueError:
        return False  # an interview of an older file, with a text that is no time
    return elapsed.total_seconds() > time_limit


def last_question(history: Sequence[Message], closing_phrase: str) -> list[ChatMessage]:
    """Return what the model reads to answer the applicant's last message, and to close."""
    told = TIME_IS_UP.format(closing_phrase=closing_phrase)
    return [*conversation(history), {"role": "system", "content": told}]


def _time_of(message: Message) -> datetime:
    return datetime.fromisoformat(message.date_created)
