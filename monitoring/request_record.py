"""The figures of a request so far, noted by whatever knows them, for its log line and the metrics.

Holds figures and the request's id, and never a word of an interview.
"""

import time
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Record:
    """One request's figures. Times are in seconds."""

    request_id: str = ""
    began: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    """For the model, in a call of its own or a shared one."""
    model: str = ""
    caller: str = ""
    """`token`, or `key` and the beginning of the key's hash; empty where neither is needed."""
    tokens_in: int = 0
    tokens_out: int = 0
    stream: str = ""
    """The end of a stream: `done`, `error` or, if the client went away, `left`; else empty."""
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


def actor() -> str:
    """Return who does what this thread does: the caller of its request, or `system` without one.

    A caller is `key` and the beginning of the key's hash, `applicant` with a token, or `anyone`.
    """
    record = _record.get()
    if record is None:
        return "system"
    return {"": "anyone", "token": "applicant"}.get(record.caller, record.caller)


class waiting:  # noqa: N801  # called like a function
    """Count the block's time as waiting for the model."""

    __slots__ = ("_began",)

    def __enter__(self) -> None:
        """Begin to wait."""
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        """End it."""
        current().waited += time.perf_counter() - self._began
