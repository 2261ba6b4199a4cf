"""Applicants' notes to their own messages, which they may add for a while after the interview."""

from datetime import UTC, datetime, timedelta

from db import AuditTrail, Correction, Corrections, InterviewKey, Messages, PositionTerms
from interviews.history import ended_at, is_started, transcript
from positions.queries import CORRECTION_HOURS
from records.errors import (
    CorrectionsOff,
    CorrectionsOver,
    NoInterview,
    NoMessage,
    NotOver,
    NotTheApplicants,
    TooManyNotes,
)
from web.service import service

# Notes of one interview, so that nobody can fill the database with them.
MAX_NOTES = 200


def correct(interview: InterviewKey, message_id: int, note: str) -> Correction:
    """Put a note to a message of the applicant's, and return it; the message stays as it is.

    The same note again is the one that is there.

    Args:
        interview: A finished interview.
        message_id: The id that the message has in the transcript. Parts that were joined to one
            message have one id, that of the first.
        note: The applicant's words.

    Raises:
        NoInterview: There is no such interview.
        NoMessage: It has no such message.
        NotTheApplicants: Somebody else has said it.
        NotOver: The interview is still going on.
        CorrectionsOff: The position takes no notes.
        CorrectionsOver: It took them until some time ago.
        TooManyNotes: The interview has as many as it may have.

    """
    with service().database.transaction(interview) as session:
        history = Messages(session).of(interview)
        if not is_started(history):
            raise NoInterview
        said = {message.id: message.role for message in transcript(history)}
        if message_id not in said:
            raise NoMessage
        if said[message_id] != "user":
            raise NotTheApplicants
        hours = PositionTerms(session).correction_hours(interview.access_key)
        _refuse_unless_open(ended_at(history), CORRECTION_HOURS if hours is None else hours)
        corrections = Corrections(session)
        notes = corrections.of(interview)
        newest = next((one for one in reversed(notes) if one.message_id == message_id), None)
        if newest is not None and newest.note == note:
            return newest
        if len(notes) >= MAX_NOTES:
            raise TooManyNotes
        made = corrections.add(interview, message_id, note)
        AuditTrail(session).add(
            interview.access_key, "message.corrected", interview, message_id=message_id
        )
    return made


def _refuse_unless_open(ended: str | None, hours: int) -> None:
    """Refuse a note before the end of the interview, and once the time for notes is over."""
    if hours == 0:
        raise CorrectionsOff
    if ended is None:
        raise NotOver
    try:
        until = datetime.fromisoformat(ended).replace(tzinfo=UTC) + timedelta(hours=hours)
    except ValueError:  # an interview of an older file, with a text that is no time
        raise CorrectionsOver from None
    if datetime.now(UTC) > until:
        raise CorrectionsOver
