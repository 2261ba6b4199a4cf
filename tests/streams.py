"""Replies as server-sent events, read by a client."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from api import ANA, PROMPT, Applicant
from server import Gunicorn

HEADERS = {"Accept": "text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True)
class Event:
    name: str
    data: Any


class Stream:
    """A response whose events are read one by one."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.begins_with_comment: bool | None = None
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[Event]:
        name = ""
        for line in self._lines:
            if self.begins_with_comment is None:
                self.begins_with_comment = line.startswith(":")
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield Event(name, json.loads(value))
            else:
                assert line == "" or line.startswith(":")

    def next(self) -> Event:
        return next(iter(self))


@dataclass(frozen=True)
class Received:
    """All that a stream has sent; without a stream, the status and the body."""

    status: int
    deltas: list[str]
    last: Event

    @property
    def text(self) -> str:
        return "".join(self.deltas)


@contextmanager
def opened(url: str, path: str, body: dict[str, str], key: str = "") -> Iterator[Stream]:
    headers = {**HEADERS, "Idempotency-Key": key} if key else HEADERS
    with httpx2.stream(
        "POST", f"{url}{path}", content=json.dumps(body), headers=headers, timeout=60
    ) as response:
        yield Stream(response)


@contextmanager
def replying(
    server: Gunicorn, message: str = "Hello", applicant: Applicant = ANA, key: str = ""
) -> Iterator[Stream]:
    """A reply under way."""
    url = f"http://127.0.0.1:{server.port}"
    with opened(url, "/reply", {**applicant.fields, "message": message}, key) as stream:
        yield stream


@contextmanager
def starting(
    server: Gunicorn, applicant: Applicant = ANA, prompt: str = PROMPT, key: str = ""
) -> Iterator[Stream]:
    """A start under way."""
    url = f"http://127.0.0.1:{server.port}"
    with opened(url, "/start_interview", {**applicant.fields, "prompt": prompt}, key) as stream:
        yield stream


def rest_of(stream: Stream) -> Received:
    """Everything still to come, once it is seen to be deltas and then one event that is none."""
    if stream.response.headers["Content-Type"] == "application/json":
        stream.response.read()
        return Received(stream.response.status_code, [], Event("", stream.response.json()))
    assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    *deltas, last = list(stream)
    assert {event.name for event in deltas} <= {"delta"}
    assert last.name in ("done", "error")
    return Received(stream.response.status_code, [event.data["content"] for event in deltas], last)


def reply(
    server: Gunicorn, message: str = "Hello", applicant: Applicant = ANA, key: str = ""
) -> Received:
    with replying(server, message, applicant, key) as stream:
        return rest_of(stream)


def start(
    server: Gunicorn, applicant: Applicant = ANA, prompt: str = PROMPT, key: str = ""
) -> Received:
    with starting(server, applicant, prompt, key) as stream:
        return rest_of(stream)
