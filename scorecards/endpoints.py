"""The endpoints of scorecards, which recruiters' keys open and applicants' tokens do not.

What they need is loaded with the first request, as many services have no scorecards.
"""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, request

from access.guard import key_needed
from scorecards.scorecard import JOB_KIND
from web.bodies import Json, checked
from web.fields import (
    MAX_REVIEW_CHARS,
    access_key_of_path,
    interview_and_fields,
    interview_of_path,
)
from web.service import service

if TYPE_CHECKING:
    from scorecards.scoring import Scoring

scorecards = Blueprint("scorecards", __name__)

CSV = "text/csv"


def scoring() -> "Scoring":
    """Return the scorecards of the current app."""
    from scorecards.scoring import Scoring

    made: Scoring | None = current_app.extensions.get("scorecards")
    if made is None:
        parts = service()
        made = Scoring(parts.database, parts.config, lambda: parts.worker.wake(JOB_KIND))
        current_app.extensions["scorecards"] = made
    return made


@scorecards.post("/score_interview")
@key_needed
def score_interview() -> Json | tuple[Json, int]:
    """Answer with the interview's scorecard, or with the id of the one that is being made."""
    from scorecards.bodies import ScoreRequest
    from scorecards.views import scorecard_json

    interview, fields = interview_and_fields(0)
    wanted = checked(ScoreRequest, fields)
    service().limits.count_score(interview.access_key)
    shown = scoring().request(interview, again=wanted.again)
    if shown.scorecard.state == "pending":
        return {"status": "pending", "scorecard_id": shown.scorecard.id}, 202
    return {"status": "success", "scorecard": scorecard_json(*shown)}


@scorecards.get("/get_scorecard/<access_key>/<anything:name>/<email>")
@key_needed
def get_scorecard(access_key: str, name: str, email: str) -> Json:
    """Answer with the interview's newest scorecard, or with that of the id in the query."""
    from scorecards.views import scorecard_json

    (interview,) = interview_of_path(access_key, name, email)
    shown = scoring().one(interview, request.args.get("id"))
    return {"status": "success", "scorecard": scorecard_json(*shown)}


@scorecards.get("/get_scorecards/<access_key>")
@key_needed
def get_scorecards(access_key: str) -> Response:
    """Answer with one row an applicant, as JSON or as CSV."""
    from scorecards.views import as_csv, as_json, rows

    comparison = rows(*scoring().applicants(access_key_of_path(access_key)))
    if request.accept_mimetypes.best_match(["application/json", CSV]) == CSV:
        response = Response(as_csv(comparison), content_type=f"{CSV}; charset=utf-8")
        response.headers["Content-Disposition"] = 'attachment; filename="scorecards.csv"'
    else:
        text = f'{{"status":"success","scorecards":{as_json(comparison)}}}\n'
        response = Response(text, mimetype="application/json")
    response.vary.add("Accept")
    return response


@scorecards.post("/review_scorecard")
@key_needed
def review_scorecard() -> Json:
    """Store a person's word on a criterion, and answer with the scorecard with it."""
    from scorecards.bodies import ReviewRequest
    from scorecards.views import scorecard_json

    interview, fields = interview_and_fields(MAX_REVIEW_CHARS)
    review = checked(ReviewRequest, fields)
    shown = scoring().review(
        interview, review.id, review.criterion, review.score, review.reason, review.reviewer
    )
    return {"status": "success", "scorecard": scorecard_json(*shown)}
