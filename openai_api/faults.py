"""The responses of a rehearsal: a good one, or any fault that a provider can have.

Knows the provider's formats, whole and streamed, and nothing of the network.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from openai_api.rehearsed_ratings import RATING_FAULTS

Json = dict[str, Any]

Sent = tuple[float, bytes]
"""Seconds to wait, and the bytes to send then."""

END_OF_BODY = b"0\r\n\r\n"
FOR_EVER = 86_400.0  # seconds


@dataclass(frozen=True)
class Behaviour:
    """The way in which a request is answered; by default at once, whole and by the script."""

    delay: float = 0.0
    """Seconds before the first byte."""

    pace: float = 0.0
    """Seconds between two bytes; 0: all at once."""

    cut: int | None = None
    """Bytes of the response after which the connection is closed; None: none."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    body: str | None = None
    """The body as it is; None: a completion, or with an error's status `error`."""

    error: tuple[str, str | None] = ("server_error", None)
    """Type and code of an error's body."""

    echo: bool = False
    """Answer with the applicant's latest message, in full, instead of the script."""

    rating: str = ""
    """One of `RATING_FAULTS`, in which ratings go wrong; all other answers it leaves alone."""

    message: Json = field(default_factory=dict)
    """Fields that replace those of the completion's message."""

    finish_reason: str | None = "stop"

    pieces: int | tuple[str, ...] = 0
    """The pieces of a stream: their number, or the pieces themselves; 0: its words."""

    piece_pace: float = 0.0
    """Seconds between two pieces of a stream."""

    packet: int | None = None
    """Bytes that are sent at once; None: each event of a stream, or all."""

    torn_after: int | None = None
    """Pieces after which a stream goes wrong; None: it does not."""

    torn_by: str = "hang_up"
    """The way it goes wrong: `hang_up`, `silence`, or else the data of its last event."""


FAULTS: dict[str, Behaviour] = {
    "silence": Behaviour(delay=FOR_EVER),
    "drip": Behaviour(pace=0.2),
    "hang_up": Behaviour(cut=0),
    "torn": Behaviour(cut=200),
    "rate_limit": Behaviour(status=429, error=("requests", "rate_limit_exceeded")),
    "rate_limit_for_long": Behaviour(
        status=429, headers={"Retry-After": "60"}, error=("requests", "rate_limit_exceeded")
    ),
    "no_quota": Behaviour(status=429, error=("insufficient_quota", "insufficient_quota")),
    "refused_key": Behaviour(status=401, error=("invalid_request_error", "invalid_api_key")),
    "no_such_model": Behaviour(status=404, error=("invalid_request_error", "model_not_found")),
    "overloaded": Behaviour(status=503),
    "redirect": Behaviour(status=307, headers={"Location": "/v1/elsewhere"}),
    "broken_json": Behaviour(body='{"choices": ['),
    "html": Behaviour(headers={"Content-Type": "text/html"}, body="<h1>Welcome</h1>"),
    "empty_object": Behaviour(body="{}"),
    "list": Behaviour(body="[]"),
    "null": Behaviour(body="null"),
    "no_choices": Behaviour(body='{"choices": []}'),
    "odd_types": Behaviour(body='{"choices": [{"message": 5, "finish_reason": {}}]}'),
    "no_message": Behaviour(body='{"choices": [{"finish_reason": "stop"}]}'),
    "null_content": Behaviour(message={"content": None}),
    "list_content": Behaviour(message={"content": ["Hello"]}),
    "blank": Behaviour(message={"content": " \n"}),
    "nul": Behaviour(message={"content": "Hello\0"}),
    "half_character": Behaviour(message={"content": "Hello \ud83d"}),
    "cut_off": Behaviour(finish_reason="length"),
    "filtered": Behaviour(finish_reason="content_filter"),
    "unfinished": Behaviour(finish_reason=None),
    "refusal": Behaviour(message={"content": None, "refusal": "I cannot help with that."}),
    "refusal_with_text": Behaviour(message={"refusal": "I cannot help with that."}),
    # In the middle of a stream; answers as a whole they leave alone.
    "torn_stream": Behaviour(torn_after=2),
    "silent_stream": Behaviour(torn_after=2, torn_by="silence"),
    "error_in_stream": Behaviour(
        torn_after=2, torn_by='{"error": {"message": "Sorry.", "type": "server_error"}}'
    ),
    "broken_json_in_stream": Behaviour(torn_after=2, torn_by='{"choices": [{"del'),
    "odd_chunk_in_stream": Behaviour(torn_after=2, torn_by='{"choices": [5]}'),
    "refusal_in_stream": Behaviour(
        torn_after=2, torn_by='{"choices": [{"delta": {"refusal": "I cannot help with that."}}]}'
    ),
    "end_of_stream_too_soon": Behaviour(torn_after=2, torn_by="[DONE]"),
    # Only ratings of interviews.
    **{name: Behaviour(rating=name) for name in RATING_FAULTS},
}


def answered(
    behaviour: Behaviour, request: Json, conversation: list[tuple[str, str]], answer: str
) -> Iterator[Sent]:
    """Return the response that says the answer, in one piece or streamed, as the request asks."""
    # About four characters a token.
    prompt_tokens = sum(len(content) for _, content in conversation) // 4
    completion_tokens = len(answer) // 4
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    message = {"role": "assistant", "content": answer, "refusal": None, **behaviour.message}
    common = {"id": "chatcmpl-rehearsal", "created": int(time.time()), "model": request["model"]}
    if request.get("stream") and behaviour.body is None:
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        yield from _streamed(behaviour, message, common, usage if with_usage else None)
    else:
        choice = {"index": 0, "message": message, "finish_reason": behaviour.finish_reason}
        common |= {"object": "chat.completion", "choices": [choice], "usage": usage}
        yield from whole(behaviour, json.dumps(common))


def failed(behaviour: Behaviour, message: str) -> Iterator[Sent]:
    """Return the response with an error's status."""
    kind, code = behaviour.error
    error = {"message": message, "type": kind, "param": None, "code": code}
    yield from whole(behaviour, json.dumps({"error": error}))


def whole(behaviour: Behaviour, text: str) -> Iterator[Sent]:
    """Return a response that is sent at once."""
    content = (text if behaviour.body is None else behaviour.body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    yield behaviour.delay, _head(behaviour, headers) + content


def _head(behaviour: Behaviour, headers: Json) -> bytes:
    lines = "".join(
        f"{name}: {value}\r\n" for name, value in {**headers, **behaviour.headers}.items()
    )
    return f"HTTP/1.1 {behaviour.status} Rehearsed\r\n{lines}\r\n".encode()


def _streamed(
    behaviour: Behaviour, message: Json, common: Json, usage: Json | None
) -> Iterator[Sent]:
    """Return a response of server-sent events, each in an HTTP chunk of its own."""

    def chunk(**delta: object) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return {**common, "object": "chat.completion.chunk", "choices": [choice]}

    headers = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
    yield behaviour.delay, _head(behaviour, headers) + _event(chunk(role="assistant", content=""))
    if message["refusal"]:
        yield 0, _event(chunk(refusal=message["refusal"]))
    for number, piece in enumerate(_pieces(behaviour, message["content"])):
        if number == behaviour.torn_after:
            yield from _torn(behaviour.torn_by)
            return
        yield behaviour.piece_pace if number else 0, _event(chunk(content=piece))
    last = chunk()
    last["choices"][0]["finish_reason"] = behaviour.finish_reason
    rest = _event(last)
    if usage is not None:
        rest += _event({**chunk(), "choices": [], "usage": usage})
    yield 0, rest + _event("[DONE]") + END_OF_BODY


def _torn(by: str) -> Iterator[Sent]:
    if by == "silence":
        yield FOR_EVER, b""
    elif by != "hang_up":
        yield 0, _event(by) + END_OF_BODY


def _pieces(behaviour: Behaviour, content: object) -> Sequence[object]:
    if isinstance(behaviour.pieces, tuple):
        return behaviour.pieces
    if not isinstance(content, str):
        return [content]
    if not behaviour.pieces:
        return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", content)
    cuts = [len(content) * number // behaviour.pieces for number in range(behaviour.pieces + 1)]
    return [content[start:end] for start, end in pairwise(cuts)]


def _event(data: Json | str) -> bytes:
    """Return an event as a chunk of a body."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    try:
        content = f"data: {text}\n\n".encode()
    except UnicodeEncodeError:  # half a surrogate pair can only be escaped
        content = f"data: {json.dumps(data)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(content), content)
