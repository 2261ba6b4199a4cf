"""The kinds of failure that a caller is told about; `web/error_handlers.py` gives each its status.

Each failure derives from its kind and lives with what raises it. None of them knows HTTP.
"""


class ApiError(Exception):
    """A failure that the caller is told about, in one sentence."""

    sentence = "Bad request."

    reason: str | None = None
    """A word that tells a program failures of the same status apart, where it needs to know."""

    retry_after: int | None = None
    """Seconds after which the same request may succeed, if they are known."""

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class Invalid(ApiError):
    """The request makes no sense; sent again, it would fail again."""


class Unauthenticated(ApiError):
    """The request lacks a valid credential."""


class Forbidden(ApiError):
    """The request's credential does not open the subject of the request."""


class NotFound(ApiError):
    """The subject of the request does not exist."""


class Gone(ApiError):
    """The subject of the request existed, and does so no more."""


class TimedOut(ApiError):
    """The client did not send in time."""


class Conflict(ApiError):
    """The stored state does not allow the request."""


class Contradiction(ApiError):
    """The request contradicts an earlier one."""


class TooManyRequests(ApiError):
    """A limit was reached; nothing was done."""


class Failed(ApiError):
    """The service has failed, or another one that it needs."""


class Unavailable(ApiError):
    """The service cannot carry out the request at the moment; the client may try again."""
