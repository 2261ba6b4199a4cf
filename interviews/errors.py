"""Errors of turns that were not taken."""

from errors import Conflict, Contradiction, Invalid, NotFound, Unavailable


class AlreadyStarted(Invalid):
    """The applicant's interview exists."""

    sentence = "Interview already started or exists for this user"


class NoPrompt(Invalid):
    """A start without a prompt, under an access key that has no position."""

    sentence = "incomplete params"


class PositionClosed(Conflict):
    """A start under the access key of a position that takes no further applicants."""

    sentence = "The position is closed. No interview can be started."


class ConsentMissing(Conflict):
    """A start by an applicant who has not accepted the notice that the position asks them to."""

    sentence = (
        "The applicant has not accepted the position's current notice (POST /consent). No interview"
        " can be started."
    )
    reason = "consent_missing"


class NotStarted(NotFound):
    """A reply to an interview that nobody has started."""

    sentence = "Cannot reply, no interview history found."


class Erased(Conflict):
    """A turn whose interview was erased while it was under way; nothing of it is stored."""

    sentence = "The interview was erased."


class Finished(Conflict):
    """A reply to an interview that the interviewer has closed."""

    sentence = "The interview is finished. It takes no more replies."


class TranscriptFull(Conflict):
    """A reply that would make the transcript longer than it may be."""


class Superseded(Conflict):
    """Pieces of a message were emitted, but another message was stored.

    Another process was faster, or the applicant has sent another message meanwhile.
    """

    sentence = (
        "What was told is not stored, as the interview has gone on. Please read its messages."
    )


class KeyReused(Contradiction):
    """An `Idempotency-Key` that came with another request before."""

    sentence = "This Idempotency-Key was used in this interview for another request."


class Overloaded(Unavailable):
    """This process has as many turns under way as it may."""

    sentence = (
        "Too many interviews are waiting for an answer. Nothing was stored; please try again."
    )
    retry_after = 2
