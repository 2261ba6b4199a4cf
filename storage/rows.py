"""The rows of the tables, as plain values."""

from hashlib import sha256
from typing import Literal, NamedTuple

Role = Literal["system", "user"]


class InterviewKey(NamedTuple):
    """The key of an interview: one applicant under one access key."""

    access_key: str
    name: str
    email: str

    def digest(self) -> str:
        """Return 64 characters that name the interview where personal data must not appear."""
        # None of the three can hold NUL, so that no two interviews have the same text.
        return sha256("\0".join(self).encode()).hexdigest()


def position_digest(access_key: str) -> str:
    """Return 64 characters that name the position of an access key."""
    return sha256(access_key.encode()).hexdigest()


class Message(NamedTuple):
    """A stored message.

    The oldest `system` message of an interview is the prompt, the later ones are the
    interviewer's; `user` is the applicant. `date_created` is UTC, `YYYY-MM-DD HH:MM:SS.ffffff`.
    """

    id: int
    role: Role
    content: str
    date_created: str
    is_finished: int
    """1 for the message that closed the interview, 0 for all others."""


class Applicant(NamedTuple):
    """An applicant who was interviewed under an access key."""

    name: str
    email: str
    is_finished: bool


class Terms(NamedTuple):
    """The terms that a position lays down for the interviews under its access key."""

    title: str
    prompt: str
    is_open: bool
    time_limit: int | None
    """Seconds from the opening after which a reply is the last; None for no limit."""
    is_scored_automatically: bool
    is_consent_required: bool
    """Whether an interview starts only once its applicant has accepted the notice."""
    notice_version: int | None
    """The version of the notice that applicants are shown; None if none is stored."""


class Consent(NamedTuple):
    """That an applicant has accepted a version of a position's notice."""

    version: int
    accepted_at: str
    """UTC, `YYYY-MM-DD HH:MM:SS.ffffff`."""


class Correction(NamedTuple):
    """A note that an applicant has put to a message of their own after the interview."""

    message_id: int
    """Of the message as it is in the transcript."""
    note: str
    created_at: str
    """UTC, `YYYY-MM-DD HH:MM:SS.ffffff`."""
