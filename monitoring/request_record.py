"""What a request has cost so far, noted by whoever knows it, for its log line and the metrics.

Holds figures and the request's id, and never a word of an interview.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class Record:
    """One request's figures. Times are in seconds."""

    request_id: str = ""
    waited: float = 0.0
    """For the model, be it a call of one's own or one that is shared."""
    model: str = ""
    caller: str = ""
    """`token`, or `key` and the beginning of the key's hash; empty for whoever needs neither."""
    tokens_in: int = 0
    tokens_out: int = 0
    stream: str = ""
    """How a stream ended: `done`, `error` or `left`, if the client went away; else empty."""
    call: Future[Any] | None = None
    """The call to the model that the request has begun. Until it has ended, figures may change."""


_record: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(request_id: str) -> Record:
    """Begin the record of the request that this thread serves from now on."""
    record = Record(request_id)
    _record.set(record)
    return record


def current() -> Record:
    """Return the record of this thread's request; outside of one, a record that nobody reads."""
    return _record.get() or Record()


@contextmanager
def waiting() -> Iterator[None]:
    """Count the block's time as waiting for the model."""
    began = time.perf_counter()
    try:
        yield
    finally:
        current().waited += time.perf_counter() - began
