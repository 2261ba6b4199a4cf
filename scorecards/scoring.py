"""Scorecards as recruiters ask for them: requested, read, reviewed. The work itself is a job.

Scorecards are made in the background (`scorecards/handler.py`). What is to be made is stored with
its job, in one transaction: a pending scorecard always has a job, and is finished or has failed
when the job ends.
"""

import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_hex
from typing import NamedTuple

from background.jobs import Jobs
from config import Config
from db import (
    AuditTrail,
    Correction,
    Corrections,
    Database,
    InterviewKey,
    Message,
    Messages,
    PositionTerms,
    Session,
)
from interviews.history import (
    TranscriptMessage,
    corrected,
    is_finished,
    is_started,
    transcript,
)
from positions.queries import Rubrics, StoredRubric
from scorecards.asking import PROMPT_VERSION, prompt_sha256
from scorecards.errors import (
    NoCriterion,
    NoInterview,
    NoPosition,
    NoRubric,
    NoScorecard,
    NotFinished,
    NotReviewable,
)
from scorecards.queries import (
    Counting,
    Json,
    Review,
    Scorecard,
    ScorecardReviews,
    Scorecards,
    Summary,
)
from scorecards.result import counting
from scorecards.scorecard import JOB_KIND

# An id, random, so that nobody can guess another.
ID = re.compile("[0-9a-f]{32}")


class Shown(NamedTuple):
    """A scorecard as it is read, with what belongs to it."""

    scorecard: Scorecard
    reviews: list[Review]
    is_out_of_date: bool = False
    """Whether the applicant has put a note to a message since it was asked for."""


class Scoring:
    """All scorecards."""

    def __init__(self, database: Database, config: Config, wake: Callable[[], None]) -> None:
        self._database = database
        self._scorer = scorer_of(config)
        self._wake = wake

    def request(self, interview: InterviewKey, *, again: bool) -> "Shown":
        """Return the interview's scorecard by the position's rubric of now; ask for it if need be.

        One that was made before the applicant's newest note is none.

        Args:
            interview: A finished interview.
            again: Ask for a further one, unless one is being made already.

        Raises:
            NoInterview: There is no such interview.
            NoPosition: Its access key has no position.
            NoRubric: The position has no rubric.
            NotFinished: The interview is still going on.

        """
        with self._database.transaction(interview) as session:
            history = Messages(session).of(interview)
            if not is_started(history):
                raise NoInterview
            rubric = Rubrics(session).current(interview.access_key)
            if rubric is None:
                known = PositionTerms(session).of(interview.access_key)
                raise NoPosition if known is None else NoRubric
            if not is_finished(history):
                raise NotFinished
            scorecards = Scorecards(session)
            corrections = Corrections(session).newest(interview)
            made = scorecards.made(
                interview,
                transcript_sha256(rated_part(history)),
                rubric.version,
                digest_of(self._scorer),
            )
            if made is not None and is_out_of_date(made, corrections):
                made = None
            if made is not None and (made.state == "pending" or not again):
                return Shown(made, ScorecardReviews(session).of(made.id))
            added = scorecards.one(
                add_pending(session, interview, history, rubric, self._scorer, corrections)
            )
            assert added is not None  # noqa: S101  # it was stored a moment ago
        self._wake()
        return Shown(added, [])

    def one(self, interview: InterviewKey, scorecard_id: str | None) -> "Shown":
        """Return a scorecard of the interview and its reviews; without an id, the newest.

        Raises:
            NoScorecard: The interview has no scorecard, or none by this id.

        """
        with self._database.reading() as session:
            found = _found(session, interview, scorecard_id)
            reviews = ScorecardReviews(session).of(found.id)
            corrections = Corrections(session).newest(interview)
        # There may be a review more than when the scorecard was read.
        return Shown(_counted(found, reviews), reviews, is_out_of_date(found, corrections))

    def review(
        self,
        interview: InterviewKey,
        scorecard_id: str,
        criterion: str,
        score: int | None,
        reason: str,
        reviewer: str,
    ) -> "Shown":
        """Store a person's word on a criterion, and return the scorecard with it.

        Raises:
            NoScorecard: The interview has no scorecard by this id.
            NotReviewable: It is pending, or has failed.
            NoCriterion: It has no such criterion.

        """
        with self._database.transaction(interview) as session:
            found = _found(session, interview, scorecard_id)
            if found.result is None:
                raise NotReviewable
            if all(criterion != known["id"] for known in found.result["criteria"]):
                raise NoCriterion
            stored = ScorecardReviews(session)
            stored.add(found.id, criterion, score, reason, reviewer)
            reviews = stored.of(found.id)
            found = _counted(found, reviews)
            counts = Counting(found.state, found.total, found.coverage, found.scores)
            Scorecards(session).count(found.id, counts)
            AuditTrail(session).add(
                interview.access_key, "scorecard.reviewed", interview, scorecard_id=found.id
            )
            corrections = Corrections(session).newest(interview)
        return Shown(found, reviews, is_out_of_date(found, corrections))

    def applicants(self, access_key: str) -> tuple[list[tuple[str, str]], list[Summary]]:
        """Return name and e-mail address of everyone with an interview, and all scorecards."""
        with self._database.reading() as session:
            # The scorecards first: whoever has one is then among the applicants.
            summaries = Scorecards(session).summaries(access_key)
            applicants = Messages(session).applicants(access_key)
        return [(name, email) for name, email, _ in applicants], summaries


def add_pending(
    session: Session,
    interview: InterviewKey,
    history: list[Message],
    rubric: StoredRubric,
    scorer: Json,
    corrections: Mapping[int, Correction],
    *,
    actor: str | None = None,
) -> str:
    """Store a pending scorecard and its job, and return the scorecard's id.

    Args:
        session: The transaction.
        interview: What is rated.
        history: Its messages.
        rubric: What it is rated by.
        scorer: What else decides how.
        corrections: The applicant's notes of now, which its record holds if there are any.
        actor: Who asks for it, if not the caller of the request.

    """
    scorecard_id = token_hex(16)
    transcript_digest = transcript_sha256(rated_part(history))
    Scorecards(session).add(
        scorecard_id,
        interview,
        transcript_digest,
        rubric.version,
        digest_of(scorer),
        {
            "transcript_sha256": transcript_digest,
            "rubric": {"version": rubric.version, "sha256": rubric.sha256, "body": rubric.body},
            "scorer": scorer,
            **({"corrections": _recorded(corrections)} if corrections else {}),
            "runs": [],
        },
    )
    Jobs(session).add(JOB_KIND, scorecard_id)
    AuditTrail(session).add(
        interview.access_key,
        "scorecard.requested",
        interview,
        actor=actor,
        scorecard_id=scorecard_id,
        rubric_version=rubric.version,
    )
    return scorecard_id


def scorer_of(config: Config) -> Json:
    """Return what decides how an interview is rated, beside its transcript and the rubric."""
    return {
        "models": [str(model) for model in config.scoring_model or config.openai_model],
        "runs": config.scoring_runs,
        "prompt_version": PROMPT_VERSION,
        "prompt_sha256": prompt_sha256(),
    }


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value's JSON, with names in order and without white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def rated_part(history: list[Message]) -> list[TranscriptMessage]:
    """Return the transcript without the prompt, which is not the applicant's matter."""
    return transcript(history)[1:]


def noted_part(history: list[Message], record: Json) -> list[TranscriptMessage]:
    """Return the transcript without the prompt, with the notes that a scorecard is made from."""
    corrections = [Correction(**correction) for correction in record.get("corrections", [])]
    return corrected(rated_part(history), {one.message_id: one for one in corrections})


def is_out_of_date(scorecard: Scorecard, corrections: Mapping[int, Correction]) -> bool:
    """Return whether a scorecard was made from other notes than those that count now."""
    made_from = {
        correction["message_id"]: correction["note"]
        for correction in scorecard.record.get("corrections", [])
    }
    return made_from != {message_id: one.note for message_id, one in corrections.items()}


def _recorded(corrections: Mapping[int, Correction]) -> list[Json]:
    return [correction._asdict() for _, correction in sorted(corrections.items())]


def transcript_sha256(messages: list[TranscriptMessage]) -> str:
    """Return the digest of all that was said, which a rating depends on: ids, roles and words."""
    return digest_of([[message.id, message.role, message.content] for message in messages])


def _counted(scorecard: Scorecard, reviews: list[Review]) -> Scorecard:
    """Return the scorecard with what counts by these reviews."""
    if scorecard.result is None:
        return scorecard
    counts = counting(scorecard.result, reviews, scorecard.record["rubric"]["body"])
    return scorecard._replace(**counts._asdict())


def _found(session: Session, interview: InterviewKey, scorecard_id: str | None) -> Scorecard:
    scorecards = Scorecards(session)
    if scorecard_id is None:
        found = scorecards.newest(interview)
    else:
        # No database need be asked for what is no id, such as NUL, which PostgreSQL does not take.
        found = scorecards.one(scorecard_id) if ID.fullmatch(scorecard_id) else None
    if found is None or found.interview != interview:
        raise NoScorecard
    return found
