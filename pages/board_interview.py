"""The board's page of one applicant: transcript, scorecard and decisions, and what may be done."""

import csv
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Response, request
from pydantic import ValidationError
from werkzeug.exceptions import NotFound

from access.board_sessions import BOARD
from db import InterviewKey, Messages
from errors import ApiError
from interviews.history import TranscriptMessage, is_finished, transcript
from pages.board import go_to, page
from pages.board_applicants import download
from pages.board_positions import url_of
from pages.charts import radar
from pages.highlights import Span, of_message, pieces
from pages.queries import Found
from positions.queries import Positions
from records.bodies import DecisionBody
from records.endpoints import decision_json, record
from records.queries import Decision, Decisions
from scorecards.bodies import ReviewRequest
from scorecards.endpoints import scoring
from scorecards.queries import Json, Review, Scorecard, ScorecardReviews, Scorecards
from scorecards.views import cell, scorecard_json
from web.bodies import sentence_of, storable
from web.errors import BadField
from web.service import service

if TYPE_CHECKING:
    from pydantic import BaseModel
    from werkzeug.wrappers import Response as AnyResponse


class Seen(NamedTuple):
    """What there is of one applicant."""

    number: int
    interview: InterviewKey
    messages: list[TranscriptMessage]
    """Without the prompt."""
    is_finished: bool
    scorecard: Scorecard | None
    reviews: list[Review]
    pending: bool
    """Whether another scorecard is being made."""
    decisions: list[Decision]
    title: str | None
    rubric_version: int | None


def interview(number: int) -> Response:
    """Show the applicant."""
    return _page(_seen(number), {}, {})


def score(number: int) -> "AnyResponse":
    """Ask for a scorecard, another one if there is one already."""
    seen = _seen(number)
    again = request.form.get("again") == "yes"
    try:
        scoring().request(seen.interview, again=again)
    except ApiError as error:
        return _page(seen, {"score": str(error)}, {}, 409)
    return go_to(
        _url(number), "The interview is being scored. The scorecard appears here by itself."
    )


def review(number: int) -> "AnyResponse":
    """Store a person's word on a criterion."""
    seen = _seen(number)
    form = _typed("id", "criterion", "score", "reason", "reviewer")
    value: dict[str, Any] = dict(form)
    value["score"] = int(form["score"]) if form["score"] in tuple("12345") else None
    prefix = f"review-{form['criterion']}"
    errors: dict[str, str] = {}
    if form["score"] not in ("none", *"12345"):
        errors[f"{prefix}-score"] = "Choose a score, or that there is too little to go by."
    wanted = _checked(ReviewRequest, value, prefix, errors)
    if wanted is not None and not errors:
        try:
            scoring().review(
                seen.interview,
                *(wanted.id, wanted.criterion, wanted.score),
                *(wanted.reason.strip(), wanted.reviewer.strip()),
            )
        except ApiError as error:
            errors[prefix] = str(error)
    if errors:
        return _page(seen, errors, form, 400)
    return go_to(
        f"{_url(number)}#criterion-{form['criterion']}", "Your review is stored, and counts."
    )


def decide(number: int) -> "AnyResponse":
    """Store a decision about the applicant."""
    seen = _seen(number)
    form = _typed("decision", "reason", "reviewer")
    errors: dict[str, str] = {}
    body = _checked(DecisionBody, form, "decide", errors)
    if body is None or errors:
        return _page(seen, errors, form, 400)
    record(seen.interview, body)
    return go_to(f"{_url(number)}#decision", "Your decision is stored.")


def back(number: int) -> "AnyResponse":
    """Lead from the address of a form to the applicant's page."""
    return go_to(_url(number))


def as_json(number: int) -> Response:
    """Answer with transcript, scorecard and decisions as a file of JSON."""
    seen = _seen(number)
    access_key, name, email = seen.interview
    value: Json = {
        "access_key": access_key,
        "name": name,
        "email": email,
        "messages": [message._asdict() for message in seen.messages],
        "scorecard": seen.scorecard and scorecard_json(seen.scorecard, seen.reviews),
        "decisions": list(map(decision_json, seen.decisions)),
    }
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return download(text, "application/json", "interview.json")


def as_csv(number: int) -> Response:
    """Answer with the transcript as a file of CSV."""
    seen = _seen(number)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "timestamp", "who", "content"])
    for message in seen.messages:
        writer.writerow([message.id, message.timestamp, _who(message), cell(message.content)])
    return download(text.getvalue(), "text/csv; charset=utf-8", "transcript.csv")


def _seen(number: int) -> Seen:
    with service().database.reading() as session:
        found = Found(session).interview(number)
        if found is None:
            raise NotFound("There is no such interview.")
        history = Messages(session).of(found)
        scorecards = Scorecards(session)
        scorecard = scorecards.counting(found)
        newest = scorecards.newest(found)
        reviews = ScorecardReviews(session).of(scorecard.id) if scorecard else []
        decisions = Decisions(session).of(found)
        position = Positions(session).get(found.access_key)
    rubric = position.rubric if position else None
    return Seen(
        number,
        found,
        transcript(history)[1:],
        is_finished(history),
        scorecard,
        reviews,
        newest is not None and newest.state == "pending",
        decisions,
        position.title if position else None,
        rubric.version if rubric else None,
    )


def _page(seen: Seen, errors: dict[str, str], form: dict[str, str], status: int = 200) -> Response:
    shown = scorecard_json(seen.scorecard, seen.reviews) if seen.scorecard else None
    spans = _spans(shown) if shown else []
    weights = {}
    if seen.scorecard is not None:
        rubric = seen.scorecard.record["rubric"]["body"]
        weights = {one["id"]: one for one in rubric["criteria"]}
    return page(
        "interview.html",
        status,
        seen=seen,
        scorecard=shown,
        messages=[
            (message, _who(message), pieces(message.content, of_message(spans, message.id)))
            for message in seen.messages
        ],
        rubric=weights,
        radar=radar([one["score"] for one in shown["criteria"]]) if shown else None,
        errors=errors,
        form=form,
        url_of=url_of,
    )


def _spans(scorecard: Json) -> list[Span]:
    spans = [
        Span(
            f"quote-{criterion['id']}-{number}",
            *(quote["message_id"], quote["start"], quote["end"], quote["polarity"]),
        )
        for criterion in scorecard["criteria"]
        for number, quote in enumerate(criterion["evidence"])
    ]
    return spans + [
        Span(f"flag-{number}", flag["message_id"], flag["start"], flag["end"], "flag")
        for number, flag in enumerate(scorecard["flags"])
    ]


def _typed(*names: str) -> dict[str, str]:
    """Return fields of the form, with the ends of lines as they are stored."""
    return {name: request.form.get(name, "").replace("\r\n", "\n") for name in names}


def _checked(
    model: "type[BaseModel]", value: dict[str, Any], prefix: str, errors: dict[str, str]
) -> Any:  # noqa: ANN401  # an instance of the model
    """Return what a form holds; None if something is wrong, which is then in `errors`."""
    try:
        for name, text in value.items():
            if isinstance(text, str):
                storable(name, text)
        return model.model_validate(value, strict=True)
    except BadField as error:
        errors[prefix] = str(error)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            name = f"{prefix}-{detail['loc'][0]}"
            errors.setdefault(name, f"This {sentence_of(dict(detail))}")
    return None


def _who(message: TranscriptMessage) -> str:
    return "applicant" if message.role == "user" else "interviewer"


def _url(number: int) -> str:
    return f"{BOARD}/interviews/{number}"
