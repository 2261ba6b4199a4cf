"""The rows of the tables, as plain values."""

from hashlib import sha256
from typing import Literal, NamedTuple

Role = Literal["system", "user"]


class InterviewKey(NamedTuple):
    """Which interview: one applicant under one access key."""

    access_key: str
    name: str
    email: str

    def digest(self) -> str:
        """Return what stands for the interview where nobody's name must be, in 64 characters."""
        # None of the three can hold NUL, so that no two interviews look the same.
        return sha256("\0".join(self).encode()).hexdigest()


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
    """1 for what the interviewer closed the interview with, 0 for all else."""


class Applicant(NamedTuple):
    """Who was interviewed under an access key."""

    name: str
    email: str
    is_finished: bool
