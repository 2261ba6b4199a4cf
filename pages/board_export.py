"""The board's files of everything that is kept, on one applicant or of a position."""

from flask import Response
from werkzeug.exceptions import NotFound

from db import InterviewKey
from pages.queries import Found
from positions.endpoints import position_of
from records.exporting.endpoints import as_file, interview_answer, position_answer
from web.fields import access_key_of_path
from web.service import service


def interview_json(number: int) -> Response:
    """Answer with everything about an applicant as JSON."""
    return as_file(interview_answer(_interview(number), is_zip=False), "export.json")


def interview_zip(number: int) -> Response:
    """Answer with everything about an applicant as ZIP."""
    return interview_answer(_interview(number), is_zip=True)


def invited_json(number: int) -> Response:
    """Answer with everything about somebody who was invited as JSON."""
    return as_file(interview_answer(_invited(number), is_zip=False), "export.json")


def invited_zip(number: int) -> Response:
    """Answer with everything about somebody who was invited as ZIP."""
    return interview_answer(_invited(number), is_zip=True)


def position_ndjson(access_key: str) -> Response:
    """Answer with everything of a position, one JSON document a line."""
    position = position_of(access_key_of_path(access_key))
    return position_answer(position.access_key, is_zip=False)


def position_zip(access_key: str) -> Response:
    """Answer with everything of a position as ZIP."""
    position = position_of(access_key_of_path(access_key))
    return position_answer(position.access_key, is_zip=True)


def _interview(number: int) -> InterviewKey:
    with service().database.reading() as session:
        found = Found(session).interview(number)
    if found is None:
        raise NotFound("There is no such interview.")
    return found


def _invited(number: int) -> InterviewKey:
    with service().database.reading() as session:
        found = Found(session).invitation(number)
    if found is None:
        raise NotFound("There is no such invitation.")
    return found.interview
