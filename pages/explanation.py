"""The explanation of a decision to its applicant: as JSON, and as a page to be read or printed.

The room shows the page in itself, as it has the applicant's token; the board has it for those who
have signed in.
"""

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import NotFound

from access.guard import is_applicant, key_or_own_token
from db import InterviewKey, as_clients_read
from monitoring import request_record
from web.bodies import Json
from web.fields import interview_of_path
from web.noted_reads import note_read
from web.service import service

if TYPE_CHECKING:
    from records.explanation import Explanation, Judged, Outcome

explanation = Blueprint("explanation", __name__)


@explanation.get("/explain/<access_key>/<anything:name>/<email>")
@key_or_own_token(interview_of_path)
def explain(interview: InterviewKey) -> Response:
    """Answer with the explanation, in the language of the request."""
    found = _read(interview, is_repeated=is_applicant())
    types = ["application/json", "text/html"] if service().config.pages else ["application/json"]
    if request.accept_mimetypes.best_match(types) == "text/html":
        response = page_of(found)
    else:
        response = jsonify(status="success", explanation=explanation_json(found))
    response.vary.update(("Accept", "Accept-Language"))
    return response


def of_board(number: int) -> Response:
    """Show the explanation to a recruiter, as the applicant reads it."""
    from pages.queries import Found

    with service().database.reading() as session:
        interview = Found(session).interview(number)
    if interview is None:
        raise NotFound("There is no such interview.")
    return page_of(_read(interview, is_repeated=True))


def page_of(found: "Explanation") -> Response:
    """Answer with the page."""
    from pages.languages import translated
    from pages.page import render
    from pages.statement import moment, statement

    return render(
        "explanation.html",
        explanation=found,
        sections=statement(found, service().config.contact, translated),
        moment=moment,
    )


def explanation_json(found: "Explanation") -> Json:
    """Return an explanation as clients read it."""
    from pages.languages import language, translated
    from pages.statement import statement

    contact = service().config.contact
    rating, outcome = found.rating, found.outcome
    return {
        "access_key": found.interview.access_key,
        "name": found.interview.name,
        "email": found.interview.email,
        "title": found.title,
        "language": language(),
        "statement": [one._asdict() for one in statement(found, contact, translated)],
        "procedure": {
            "interviewer": "ai",
            "models": list(found.models),
            "started_at": as_clients_read(found.started_at),
            "finished_at": found.finished_at and as_clients_read(found.finished_at),
            "rating": rating
            and {
                **rating._asdict(),
                "role": "advice",
                "made_at": as_clients_read(rating.made_at),
            },
        },
        "decision": outcome and _decision_json(outcome),
        "contest": {
            "contact": contact,
            "correction_until": found.correction_until and as_clients_read(found.correction_until),
        },
    }


def _decision_json(outcome: "Outcome") -> Json:
    decision = outcome.decision
    return {
        "made_by": "person",
        **decision._asdict(),
        "created_at": as_clients_read(decision.created_at),
        "total": outcome.total,
        "coverage": outcome.coverage,
        "criteria": list(map(_criterion_json, outcome.criteria)),
        "set_aside": [one._asdict() for one in outcome.set_aside],
    }


def _criterion_json(criterion: "Judged") -> Json:
    reviews: list[dict[str, Any]] = [
        {
            "score": review.score,
            "reason": review.reason,
            "reviewer": review.reviewer,
            "created_at": as_clients_read(review.created_at),
        }
        for review in criterion.reviews
    ]
    return {
        **criterion._asdict(),
        "quotes": [quote._asdict() for quote in criterion.quotes],
        "reviews": reviews,
    }


def _read(interview: InterviewKey, *, is_repeated: bool) -> "Explanation":
    """Return the explanation, once it is noted who reads it, where that can be told."""
    from records.explanation import explain

    found = explain(service().database, interview)
    if request_record.actor() != "anyone":
        note_read("explanation.read", interview, is_repeated=is_repeated)
    return found
