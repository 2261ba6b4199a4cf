"""Pure functions of an interview's stored messages, oldest first."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any, Literal, NamedTuple

from db import Correction, Message, Role, as_clients_read
from llm import ChatMessage

# Stands between the messages that an applicant sends before the interviewer answers.
JOINT = "\n\n"


class TranscriptMessage(NamedTuple):
    """A message as recruiters read it: all that one side said in one turn.

    `role` is `system` for the prompt, which is first, and for the interviewer, `user` for the
    applicant. `timestamp` is UTC, `YYYY-MM-DD HH:MM:SS`.
    """

    id: int
    content: str
    timestamp: str
    role: Role
    correction: Correction | None = None
    """The applicant's note on it, which counts beside it and changes none of its words."""

    def as_json(self) -> dict[str, Any]:
        """Return the message as clients read it; there is no `correction` where it has none."""
        value = self._asdict()
        if self.correction is None:
            del value["correction"]
        else:
            created_at = as_clients_read(self.correction.created_at)
            value["correction"] = {"note": self.correction.note, "created_at": created_at}
        return value


def is_started(history: Sequence[Message]) -> bool:
    """Return whether the interviewer has said anything."""
    return opening(history) is not None


def opening(history: Sequence[Message]) -> Message | None:
    """Return the interviewer's first message; the first message of all is the prompt."""
    return next(
        (message for message in history[1:] if message.role == "system" and message.content), None
    )


def is_finished(history: Iterable[Message]) -> bool:
    """Return whether the interviewer has closed the interview."""
    return any(message.is_finished for message in history)


def said_again(history: Sequence[Message], text: str) -> Message | None:
    """Return the newest part of the open message if the text repeats that part or the whole."""
    open_parts = list(takewhile(lambda message: message.role == "user", reversed(history)))
    if open_parts and text in (open_parts[0].content, _joined(reversed(open_parts))):
        return open_parts[0]
    return None


def answer_to(message: Message, history: Iterable[Message]) -> str | None:
    """Return the interviewer's answer to the applicant's message, if there is one."""
    return next(
        (later.content for later in history if later.id > message.id and later.role == "system"),
        None,
    )


def transcript(history: Sequence[Message]) -> list[TranscriptMessage]:
    """Return the transcript: the prompt first, then interviewer and applicant in turn."""
    return [
        TranscriptMessage(turn[0].id, _joined(turn), turn[0].date_created[:19], turn[0].role)
        for turn in _turns(history)
    ]


def corrected(
    messages: Sequence[TranscriptMessage], corrections: Mapping[int, Correction]
) -> list[TranscriptMessage]:
    """Return the messages, each with the note that its applicant has put to it."""
    return [message._replace(correction=corrections.get(message.id)) for message in messages]


def ended_at(history: Iterable[Message]) -> str | None:
    """Return when the interviewer has closed the interview, as it is stored; None if not yet."""
    return next((message.date_created for message in history if message.is_finished), None)


def without_prompt(history: Sequence[Message]) -> list[Message]:
    """Return the history with the prompt blank, and so whatever repeats it on the system's side.

    The places are kept, as clients rely on the order of a transcript.
    """
    return [
        message._replace(content="")
        if message.role == "system" and message.content == history[0].content
        else message
        for message in history
    ]


def conversation(history: Sequence[Message]) -> list[ChatMessage]:
    """Return the history as the model reads it.

    It grows at the end only, so that the provider can cache what it has read before.
    """
    read: list[ChatMessage] = [{"role": "system", "content": history[0].content}]
    for turn in _turns(history)[1:]:
        content = turn[0].content if len(turn) == 1 else _joined(turn)
        if content:
            role: Literal["assistant", "user"] = "user" if turn[0].role == "user" else "assistant"
            read.append({"role": role, "content": content})
    return read


def _turns(history: Sequence[Message]) -> list[list[Message]]:
    """Group the messages into turns; the prompt, which comes first, is a turn of its own."""
    turns: list[list[Message]] = []
    for message in history:
        if len(turns) > 1 and turns[-1][0].role == message.role:
            turns[-1].append(message)
        else:
            turns.append([message])
    return turns


def _joined(turn: Iterable[Message]) -> str:
    """Return the turn's text. The same text twice in a row was sent again, not said again."""
    return JOINT.join(
        content for content, _ in groupby(message.content for message in turn) if content
    )
