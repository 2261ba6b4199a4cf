"""The endpoints of what applicants may do about their own interview, beside holding it.

They read the position's notice and accept it, ask for another way, and put notes to what they have
said. What does it is loaded with the first request.
"""

from flask import Blueprint

from access.guard import key_or_own_token
from db import InterviewKey, as_clients_read
from web.bodies import Json, checked
from web.fields import (
    MAX_NOTE_CHARS,
    interview_and_fields,
    notice_of_query,
)
from web.service import service

rights = Blueprint("rights", __name__)


def _consent() -> tuple[InterviewKey, int]:
    from records.rights_bodies import ConsentBody

    interview, fields = interview_and_fields(0)
    return interview, checked(ConsentBody, fields).version


def _applicant() -> tuple[InterviewKey]:
    interview, _ = interview_and_fields(0)
    return (interview,)


def _correction() -> tuple[InterviewKey, int, str]:
    from records.rights_bodies import CorrectionBody

    interview, fields = interview_and_fields(MAX_NOTE_CHARS)
    body = checked(CorrectionBody, fields)
    return interview, body.message_id, body.note


@rights.get("/notice/<access_key>")
@key_or_own_token(notice_of_query)
def get_notice(applicant: InterviewKey, version: int | None) -> Json:
    """Answer with the position's notice and, if an applicant is named, with what they have done."""
    from positions.endpoints import position_of
    from records.notices import notice_by_version, notice_of

    position = position_of(applicant.access_key)
    if version is None:
        notice = notice_of(position)
    else:
        notice = notice_by_version(applicant.access_key, version)
    answer: Json = {"status": "success", **notice._asdict()}
    if applicant.name and applicant.email:
        answer["consentRequired"] = position.is_consent_required
        answer["correctionHours"] = position.correction_hours
        answer |= _asked_and_accepted(applicant, notice.version)
    return answer


@rights.post("/consent")
@key_or_own_token(_consent)
def consent(interview: InterviewKey, version: int) -> Json:
    """Store that the applicant accepts a version of the notice."""
    from records.consent import accept

    service().limits.count_record(interview)
    made = accept(interview, version)
    return {"status": "success", "accepted_at": as_clients_read(made.accepted_at)}


@rights.post("/another_way")
@key_or_own_token(_applicant)
def another_way(interview: InterviewKey) -> Json:
    """Store that the applicant asks for another way than the interview."""
    from records.other_ways import ask

    service().limits.count_record(interview)
    return {"status": "success", "asked_at": as_clients_read(ask(interview))}


@rights.post("/correct_message")
@key_or_own_token(_correction)
def correct_message(interview: InterviewKey, message_id: int, note: str) -> Json:
    """Put a note to a message of the applicant's."""
    from records.corrections import correct

    service().limits.count_record(interview)
    made = correct(interview, message_id, note)
    created_at = as_clients_read(made.created_at)
    return {"status": "success", "correction": {"note": made.note, "created_at": created_at}}


def _asked_and_accepted(applicant: InterviewKey, version: int | None) -> Json:
    """Return when the applicant has accepted the version, and when asked for another way."""
    from db import Consents
    from records.other_ways import OtherWays

    with service().database.reading() as session:
        accepted = Consents(session).accepted_at(applicant, version or 0)
        asked = OtherWays(session).asked_at(applicant)
    return {
        "accepted_at": accepted and as_clients_read(accepted),
        "another_way_at": asked and as_clients_read(asked),
    }
