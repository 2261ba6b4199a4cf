"""A provider's response to a request for a completion: one JSON object, or a stream of events.

Either is an answer only if it is all there; anything else is an `LLMError`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from openai_api.errors import LLMError, PassingError

Emit = Callable[[str], None]
"""Takes each piece of an answer as it comes."""

# The data of a stream's last event.
END = b"[DONE]"

# Of an id, a model's name and the like; OpenAI's have some 40.
MAX_WORD_CHARS = 200


class Answer(NamedTuple):
    """The whole text, and the provider's count of the tokens, unchecked."""

    text: str
    usage: Any


class FullAnswer(NamedTuple):
    """An answer with whatever the provider says of it, for a record; it need not be whole.

    Of the values, only `usage` is unchecked; what is missing or of another type is empty or None.
    """

    text: str
    finish_reason: str
    refusal: str | None
    model: str
    fingerprint: str | None
    response_id: str | None
    usage: Any


def whole_answer(content: bytes) -> Answer:
    """Read a completion; any part of it may be missing or of another type."""
    completion, finish_reason, text, refusal = _first_choice(content)
    if refusal:
        raise LLMError("refusal", "the model refused")
    text = _checked(text) if isinstance(text, str) else ""
    return Answer(_whole(text, finish_reason), completion.get("usage"))


def full_answer(content: bytes) -> FullAnswer:
    """Read a completion that may also be a refusal, or cut off."""
    completion, finish_reason, text, refusal = _first_choice(content)
    if refusal and not isinstance(refusal, str):
        refusal = "(not a text)"
    return FullAnswer(
        _checked(text) if isinstance(text, str) else "",
        _word(finish_reason) or "",
        _checked(str(refusal)) if refusal else None,
        _word(completion.get("model")) or "",
        _word(completion.get("system_fingerprint")),
        _word(completion.get("id")),
        completion.get("usage"),
    )


def streamed_answer(content: Iterable[bytes], emit: Emit) -> Answer:
    """Read a stream up to its end, and emit each piece as it comes."""
    pieces: list[str] = []
    half, finish_reason, usage = "", None, None
    for event in _events(content):
        if event == END:
            break
        chunk = _json(event)
        try:
            if chunk.get("error"):
                raise PassingError("provider", "an error in the stream")
            usage = chunk.get("usage") or usage
            if not chunk["choices"]:  # the last one, which has the usage
                continue
            choice = chunk["choices"][0]
            delta = choice["delta"]
            finish_reason = choice.get("finish_reason") or finish_reason
            if delta.get("refusal"):
                raise LLMError("refusal", "the model refused")
            piece = half + (delta.get("content") or "")
        except (AttributeError, LookupError, TypeError):
            raise LLMError("bad_answer", "no chunk of a completion") from None
        piece, half = _without_half(piece)
        if piece:
            piece = _checked(piece)
            pieces.append(piece)
            emit(piece)
    if half:
        raise LLMError("bad_answer", "half a character")
    return Answer(_whole("".join(pieces), finish_reason), usage)


def _first_choice(content: bytes) -> tuple[Any, object, object, object]:
    """Return a completion, and its choice's finish reason, text and refusal, all unchecked."""
    completion = _json(content)
    try:
        choice = completion["choices"][0]
        message = choice["message"]
        return completion, choice["finish_reason"], message["content"], message.get("refusal")
    except (AttributeError, LookupError, TypeError):
        raise LLMError("bad_answer", "no completion") from None


def _word(value: object) -> str | None:
    """Return the value if it is as short and plain as the names that providers give."""
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value[:MAX_WORD_CHARS]
    return None


def _events(content: Iterable[bytes]) -> Iterator[bytes]:
    """Return the data of each server-sent event that is complete."""
    rest = b""
    data: list[bytes] = []
    for part in content:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif not field and not value and data:  # an empty line, and no comment
                yield b"\n".join(data)
                data = []


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        # The error's text may quote what was sent.
        raise LLMError("bad_answer", type(error).__name__) from None


def _without_half(piece: str) -> tuple[str, str]:
    """Return the piece, and apart from it the half of a surrogate pair at its end.

    JSON may write a character as two escapes, between which a provider might cut.
    """
    if "\ud800" <= piece[-1:] <= "\udbff":
        return piece[:-1], piece[-1:]
    return piece, ""


def _checked(text: str) -> str:
    """Return the text if every database can store it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            # Halves that came one by one are two characters to Python.
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise LLMError("bad_answer", "half a character") from None
    if "\0" in text:
        raise LLMError("bad_answer", "a NUL character")
    return text


def _whole(text: str, finish_reason: object) -> str:
    """Return the text if the model came to the end of it."""
    if finish_reason != "stop":
        reason = finish_reason if finish_reason in ("length", "content_filter") else "unknown"
        raise LLMError("not_whole", f"finish_reason {reason}")
    if not text.strip():
        raise LLMError("blank", "no text")
    return text
