"""The queries of scorecards, their runs and their reviews."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from db import InterviewKey, Session, position_digest, stored_now
from scorecards.scorecard import ScorecardState

if TYPE_CHECKING:
    from scorecards.rating import RunRecord

Json = dict[str, Any]

COLUMNS = (
    "id, access_key, name, email, transcript_sha256, rubric_version, scorer, state, reason,"
    " created_at, finished_at, total, coverage, scores, result, record"
)


class Scorecard(NamedTuple):
    """A stored scorecard. Times are UTC, `YYYY-MM-DD HH:MM:SS.ffffff`."""

    id: str
    interview: InterviewKey
    transcript_sha256: str
    rubric_version: int
    scorer: str
    """The digest of what it is made by: models, parameters, number of runs, prompt."""
    state: ScorecardState
    reason: str | None
    """The sentence that says why it has failed; None if it has not."""
    created_at: str
    finished_at: str | None
    total: float | None
    coverage: float | None
    scores: dict[str, int | None]
    result: Json | None
    """The result of the runs, without the reviews; None if it is pending or has failed."""
    record: Json
    """Everything it is made from; the runs are in it once it is finished."""


class Summary(NamedTuple):
    """The part of a scorecard by which applicants are compared."""

    name: str
    email: str
    id: str
    state: ScorecardState
    total: float | None
    coverage: float | None
    scores: str | None
    """An object of JSON: the score by criterion."""
    rubric_version: int


class Review(NamedTuple):
    """A person's word on one criterion; a score of None says that there is too little to go by."""

    criterion: str
    score: int | None
    reason: str
    reviewer: str
    created_at: str


class Counting(NamedTuple):
    """The figures of a scorecard that count, its reviews included."""

    state: ScorecardState
    total: float | None
    coverage: float | None
    scores: Mapping[str, int | None]


class Scorecards:
    """Scorecards, each made once; only what counts of it changes, with its reviews."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def add(
        self,
        scorecard_id: str,
        interview: InterviewKey,
        transcript_sha256: str,
        rubric_version: int,
        scorer: str,
        record: Json,
    ) -> None:
        """Store a pending scorecard."""
        self._execute(
            "INSERT INTO scorecards (id, interview, position, access_key, name, email,"
            " transcript_sha256, rubric_version, scorer, state, created_at, record)"
            " VALUES (:id, :interview, :position, :access_key, :name, :email,"
            " :transcript_sha256, :rubric_version, :scorer, 'pending', :created_at, :record)",
            {
                **interview._asdict(),
                "id": scorecard_id,
                "interview": interview.digest(),
                "position": position_digest(interview.access_key),
                "transcript_sha256": transcript_sha256,
                "rubric_version": rubric_version,
                "scorer": scorer,
                "created_at": stored_now(),
                "record": _written(record),
            },
        )

    def one(self, scorecard_id: str) -> Scorecard | None:
        """Return a scorecard by its id."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM scorecards WHERE id = :id", {"id": scorecard_id}
        ).fetchone()
        return _scorecard(row) if row else None

    def newest(self, interview: InterviewKey) -> Scorecard | None:
        """Return the interview's newest scorecard, whatever its state."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM scorecards WHERE interview = :interview"
            " ORDER BY number DESC LIMIT 1",
            {"interview": interview.digest()},
        ).fetchone()
        return _scorecard(row) if row else None

    def counting(self, interview: InterviewKey) -> Scorecard | None:
        """Return the interview's newest scorecard with a result; the newest if none has one."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM scorecards WHERE interview = :interview ORDER BY"
            " CASE WHEN state IN ('scored', 'needs_review') THEN 0 ELSE 1 END, number DESC LIMIT 1",
            {"interview": interview.digest()},
        ).fetchone()
        return _scorecard(row) if row else None

    def made(
        self, interview: InterviewKey, transcript_sha256: str, rubric_version: int, scorer: str
    ) -> Scorecard | None:
        """Return the newest scorecard that was made from these, or is being made."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM scorecards WHERE interview = :interview"
            " AND transcript_sha256 = :transcript_sha256 AND rubric_version = :rubric_version"
            " AND scorer = :scorer AND state <> 'failed' ORDER BY number DESC LIMIT 1",
            {
                "interview": interview.digest(),
                "transcript_sha256": transcript_sha256,
                "rubric_version": rubric_version,
                "scorer": scorer,
            },
        ).fetchone()
        return _scorecard(row) if row else None

    def summaries(self, access_key: str) -> list[Summary]:
        """Return every scorecard under the access key, oldest first."""
        rows = self._execute(
            "SELECT name, email, id, state, total, coverage, scores, rubric_version"
            " FROM scorecards WHERE position = :position ORDER BY number",
            {"position": position_digest(access_key)},
        )
        return list(map(Summary._make, rows.fetchall()))

    def change_scorer(self, scorecard_id: str, scorer: str, record: Json) -> None:
        """Let a pending scorecard be made by another scorer."""
        self._execute(
            "UPDATE scorecards SET scorer = :scorer, record = :record"
            " WHERE id = :id AND state = 'pending'",
            {"id": scorecard_id, "scorer": scorer, "record": _written(record)},
        )

    def finish(self, scorecard_id: str, counting: Counting, result: Json, record: Json) -> None:
        """Store the result of a pending scorecard, and the record with its runs."""
        self._execute(
            "UPDATE scorecards SET state = :state, total = :total, coverage = :coverage,"
            " scores = :scores, finished_at = :finished_at, result = :result, record = :record"
            " WHERE id = :id AND state = 'pending'",
            {
                **_columns(scorecard_id, counting),
                "finished_at": stored_now(),
                "result": _written(result),
                "record": _written(record),
            },
        )

    def fail(self, scorecard_id: str, reason: str, record: Json) -> None:
        """Store why a pending scorecard could not be made, and the record with its runs."""
        self._execute(
            "UPDATE scorecards SET state = 'failed', reason = :reason,"
            " finished_at = :finished_at, record = :record WHERE id = :id AND state = 'pending'",
            {
                "id": scorecard_id,
                "reason": reason,
                "finished_at": stored_now(),
                "record": _written(record),
            },
        )

    def count(self, scorecard_id: str, counting: Counting) -> None:
        """Store what counts of a finished scorecard after a review."""
        self._execute(
            "UPDATE scorecards SET state = :state, total = :total, coverage = :coverage,"
            " scores = :scores WHERE id = :id",
            _columns(scorecard_id, counting),
        )


class ScorecardRuns:
    """The runs of scorecards that are being made, each named by criterion, mask and number."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def of(self, scorecard_id: str) -> "dict[tuple[str, bool, int], RunRecord]":
        """Return what was stored of each run."""
        rows = self._execute(
            "SELECT criterion, is_masked, run, answer FROM scorecard_runs"
            " WHERE scorecard = :scorecard",
            {"scorecard": scorecard_id},
        )
        return {
            (criterion, bool(is_masked), run): json.loads(answer)
            for criterion, is_masked, run, answer in rows.fetchall()
        }

    def add(self, scorecard_id: str, run: tuple[str, bool, int], answer: "RunRecord") -> None:
        """Store a run, unless it is stored already."""
        criterion, is_masked, number = run
        self._execute(
            "INSERT INTO scorecard_runs (scorecard, criterion, is_masked, run, answer)"
            " VALUES (:scorecard, :criterion, :is_masked, :run, :answer) ON CONFLICT DO NOTHING",
            {
                "scorecard": scorecard_id,
                "criterion": criterion,
                "is_masked": int(is_masked),
                "run": number,
                "answer": _written(answer),
            },
        )

    def remove(self, scorecard_id: str) -> None:
        """Remove the scorecard's runs."""
        self._execute(
            "DELETE FROM scorecard_runs WHERE scorecard = :scorecard", {"scorecard": scorecard_id}
        )


class ScorecardReviews:
    """People's reviews of scorecards; none is ever changed."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def of(self, scorecard_id: str) -> list[Review]:
        """Return the scorecard's reviews, oldest first."""
        rows = self._execute(
            "SELECT criterion, score, reason, reviewer, created_at FROM scorecard_reviews"
            " WHERE scorecard = :scorecard ORDER BY number",
            {"scorecard": scorecard_id},
        )
        return list(map(Review._make, rows.fetchall()))

    def add(
        self, scorecard_id: str, criterion: str, score: int | None, reason: str, reviewer: str
    ) -> None:
        """Store a review of now."""
        review = Review(criterion, score, reason, reviewer, stored_now())
        self._execute(
            "INSERT INTO scorecard_reviews"
            " (scorecard, criterion, score, reason, reviewer, created_at)"
            " VALUES (:scorecard, :criterion, :score, :reason, :reviewer, :created_at)",
            {"scorecard": scorecard_id, **review._asdict()},
        )


def _scorecard(row: tuple[Any, ...]) -> Scorecard:
    scorecard_id, access_key, name, email, *middle, scores, result, record = row
    return Scorecard._make(
        (
            scorecard_id,
            InterviewKey(access_key, name, email),
            *middle,
            json.loads(scores or "{}"),
            json.loads(result) if result else None,
            json.loads(record),
        )
    )


def _columns(scorecard_id: str, counting: Counting) -> Json:
    return {"id": scorecard_id, **counting._asdict(), "scores": _written(counting.scores)}


def _written(value: object) -> str:
    # ASCII, as the model may answer with what no database stores: NUL, half a character.
    return json.dumps(value, separators=(",", ":"))
