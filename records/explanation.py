"""The explanation of a decision to the applicant whom it is about: facts, from the records alone.

Until a decision is made there is only the procedure: neither a score nor what it rests on. Then
what counts is what whoever decided could see: the rating and the reviews of before the decision.
Nothing here is the prompt's, or another applicant's.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from db import Database, InterviewKey, Messages, PositionTerms, Session
from interviews.history import TranscriptMessage, opening, transcript
from records.errors import NoInterview
from records.explanation_queries import ExplainedRecords
from records.queries import Decision, Decisions
from scorecards.queries import Review, Scorecard, ScorecardReviews, Scorecards
from scorecards.result import counting, reviewed

Json = dict[str, Any]


class Quote(NamedTuple):
    """Words of the applicant's that counted, as they stand in a message."""

    message_id: int
    quote: str
    polarity: str
    """`supports` or `detracts`."""


class Judged(NamedTuple):
    """A criterion, and what was found by it."""

    id: str
    title: str
    definition: str
    weight: float
    anchors: Mapping[str, str]
    """What each score stands for, by the score."""
    state: str
    """`scored`, `insufficient_evidence` or `needs_review`, with the reviews."""
    score: int | None
    machine_score: int | None
    """What the AI came to; None if it found too little."""
    quotes: Sequence[Quote]
    reviews: Sequence[Review]


class SetAside(NamedTuple):
    """A sentence that may have been meant for the program that rates, and was hidden from it."""

    message_id: int
    sentence: str


class Rating(NamedTuple):
    """How the interview was rated by an AI."""

    models: Sequence[str]
    runs: int
    """How often each criterion was rated, independently."""
    prompt_version: int
    """Of the service's own instructions to the model."""
    rubric_version: int
    made_at: str


class Outcome(NamedTuple):
    """A decision, and what it could rest on."""

    decision: Decision
    criteria: Sequence[Judged]
    """Empty if there was no rating."""
    total: float | None
    coverage: float | None
    set_aside: Sequence[SetAside]


class Explanation(NamedTuple):
    """What an applicant may know. Times are UTC, `YYYY-MM-DD HH:MM:SS`."""

    interview: InterviewKey
    title: str | None
    started_at: str
    finished_at: str | None
    models: Sequence[str]
    """The models that asked, as far as the audit trail names them."""
    rating: Rating | None
    outcome: Outcome | None
    """None until a person has decided."""
    correction_until: str | None
    """Until when the applicant may add notes; None if that is over, or has not begun."""


def explain(database: Database, interview: InterviewKey) -> Explanation:
    """Return the explanation.

    Raises:
        NoInterview: Nobody has started the interview.

    """
    with database.reading() as session:
        # The decision first: what it rests on was stored before it.
        decision = _that_counts(Decisions(session).of(interview))
        history = Messages(session).of(interview)
        begin = opening(history)
        if begin is None:
            raise NoInterview
        records = ExplainedRecords(session)
        scorecard = _scorecard(session, interview, decision)
        reviews = ScorecardReviews(session).of(scorecard.id) if scorecard else []
        terms = PositionTerms(session).of(interview.access_key)
        models = records.models(interview)
        hours = records.correction_hours(interview.access_key)
    end = next((message.date_created for message in history if message.is_finished), None)
    outcome = None
    if decision is not None:
        known = [review for review in reviews if review.created_at <= decision.created_at]
        outcome = _outcome(decision, scorecard, known, transcript(history))
    return Explanation(
        interview,
        terms.title if terms else None,
        begin.date_created[:19],
        end and end[:19],
        models,
        _rating(scorecard) if scorecard else None,
        outcome,
        _correction_until(end, hours),
    )


def _that_counts(decisions: Sequence[Decision]) -> Decision | None:
    """Return the newest decision, unless it leaves everything open."""
    newest = decisions[-1] if decisions else None
    return None if newest is None or newest.decision == "undecided" else newest


def _scorecard(
    session: Session, interview: InterviewKey, decision: Decision | None
) -> Scorecard | None:
    moment = decision.created_at if decision else None
    scorecard_id = ExplainedRecords(session).scorecard_before(interview, moment)
    return Scorecards(session).one(scorecard_id) if scorecard_id else None


def _rating(scorecard: Scorecard) -> Rating:
    scorer = scorecard.record["scorer"]
    answered = [run["model_answered"] for run in scorecard.record["runs"]]
    return Rating(
        list(dict.fromkeys(answered or scorer["models"])),
        scorer["runs"],
        scorer["prompt_version"],
        scorecard.rubric_version,
        (scorecard.finished_at or scorecard.created_at)[:19],
    )


def _outcome(
    decision: Decision,
    scorecard: Scorecard | None,
    reviews: Sequence[Review],
    messages: Sequence[TranscriptMessage],
) -> Outcome:
    if scorecard is None or scorecard.result is None:
        return Outcome(decision, (), None, None, ())
    said = {message.id: message.content for message in messages if message.role == "user"}
    rubric = scorecard.record["rubric"]["body"]
    found = {one["id"]: one for one in reviewed(scorecard.result, reviews)}
    counts = counting(scorecard.result, reviews, rubric)
    return Outcome(
        decision,
        [
            _judged(criterion, found[criterion["id"]], reviews, said)
            for criterion in rubric["criteria"]
            if criterion["id"] in found
        ],
        counts.total,
        counts.coverage,
        [
            SetAside(flag["message_id"], said[flag["message_id"]][flag["start"] : flag["end"]])
            for flag in scorecard.result["flags"]
            if flag["message_id"] in said
        ],
    )


def _judged(
    criterion: Json, found: Json, reviews: Sequence[Review], said: Mapping[int, str]
) -> Judged:
    return Judged(
        criterion["id"],
        criterion["title"],
        criterion["definition"],
        criterion["weight"],
        criterion["anchors"],
        found["state"],
        found["score"],
        found["machine_score"],
        [
            Quote(one["message_id"], one["quote"], one["polarity"])
            for one in found["evidence"]
            # As it is stored now: nothing is put into the applicant's mouth.
            if said.get(one["message_id"], "")[one["start"] : one["end"]] == one["quote"]
        ],
        [review for review in reviews if review.criterion == criterion["id"]],
    )


def _correction_until(end: str | None, hours: int) -> str | None:
    """Return when the time for notes is over, if it is not yet."""
    try:
        until = datetime.fromisoformat(end or "").replace(tzinfo=UTC) + timedelta(hours=hours)
    except ValueError:
        return None  # it has not ended, or is of an older file with a text that is no time
    return until.strftime("%Y-%m-%d %H:%M:%S") if until > datetime.now(UTC) else None
