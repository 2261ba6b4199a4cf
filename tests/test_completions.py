"""A provider's responses, read by the letter of its format and of its mistakes."""

import json

import pytest

from openai_api.completions import Answer, streamed_answer, whole_answer
from openai_api.errors import LLMError


def chunk(content: object, finish_reason: str | None = None) -> bytes:
    choice = {"delta": {"content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}).encode()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_however_they_are_cut(line_end: bytes, size: int) -> None:
    first, last = chunk("Grüße, "), chunk("世界", "stop")
    middle = last.index(b" ")
    lines = [
        *(b": a comment", b"", b"event: message", b"id: 1", b"data: " + first, b""),
        # One event may have several lines of data, with and without a space before it.
        *(b"data:" + last[:middle], b"data: " + last[middle:], b""),
        *(b'data: {"choices": [], "usage": {"prompt_tokens": 7}}', b"", b"data: [DONE]", b"", b""),
    ]
    content = line_end.join(lines)
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    pieces: list[str] = []
    assert streamed_answer(parts, pieces.append) == Answer("Grüße, 世界", {"prompt_tokens": 7})
    assert pieces == ["Grüße, ", "世界"]


def test_a_stream_may_end_without_its_last_event_once_the_model_has_finished() -> None:
    content = b"data: " + chunk("Hello", "stop") + b"\n\n"
    assert streamed_answer([content], print).text == "Hello"


@pytest.mark.parametrize(
    "events",
    [
        [chunk("Hello")],
        [chunk("Hello"), b"[DONE]"],
        [chunk("Hello", "length")],
        [chunk(""), chunk(None, "stop")],
        [chunk("Hello \ud83d", "stop")],
        [chunk("Hello \ud83d"), chunk("!", "stop")],
        [chunk("\ude00", "stop")],
        [chunk("Hello\0", "stop")],
        [chunk(["Hello"], "stop")],
        [b'{"choices": {}}', b'{"choices": [{}]}'],
        [b"null"],
        [b"[" * 100_000],
    ],
)
def test_anything_less_than_an_answer_is_none(events: list[bytes]) -> None:
    with pytest.raises(LLMError):
        streamed_answer([b"data: " + event + b"\n\n" for event in events], lambda _: None)


def test_a_completion_nested_too_deeply_is_no_answer() -> None:
    with pytest.raises(LLMError):
        whole_answer(b"[" * 100_000)
