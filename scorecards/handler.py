"""The job that makes a scorecard: the runs that are still missing, then the result.

Each run is stored as it comes, and the result together with the end of the job. So a process that
is killed leaves to the next one what is still to be done, and no scorecard is made twice or by
half.

Most processes make no scorecard, so what makes them is loaded with the first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from background.jobs import Job, Jobs, LeaseLost
from background.worker import LEASE, Retry
from config import Config
from db import AuditTrail, Database, InterviewKey, Messages, PositionTerms, Session
from llm import LLM
from scorecards.scorecard import JOB_KIND

if TYPE_CHECKING:
    from interviews.history import TranscriptMessage
    from scorecards.queries import Json, Scorecard
    from scorecards.rating import Rater, RunKey, RunRecord
    from scorecards.scorecard import Flag


class ScorecardHandler:
    """Makes the scorecards that are pending."""

    kind = JOB_KIND

    def __init__(self, database: Database, llm: LLM, config: Config) -> None:
        self._database = database
        self._llm = llm
        self._config = config
        self._rater: Rater | None = None

    def when_finished(self, session: Session, interview: InterviewKey) -> None:
        """Ask for the scorecard of an interview that is finished, if its position wants one.

        It is stored in the transaction of the session, with the closing message.
        """
        # Nothing is caught here: after an error of PostgreSQL's the transaction stores nothing, and
        # the reply must fail rather than be acknowledged.
        terms = PositionTerms(session).of(interview.access_key)
        if terms is None or not terms.is_scored_automatically:
            return
        from positions.queries import Rubrics
        from scorecards.scoring import add_pending, scorer_of

        rubric = Rubrics(session).current(interview.access_key)
        if rubric is not None:
            history = Messages(session).of(interview)
            scorer = scorer_of(self._config)
            # It is the position that asks, and not the applicant whose reply was the last. At the
            # end of the interview there is no note yet.
            add_pending(session, interview, history, rubric, scorer, {}, actor="system")

    def run(self, job: Job, is_held: Callable[[], bool]) -> None:
        """Make the scorecard, and end the job.

        Raises:
            Retry: The model has not answered as it should; the runs until then are stored.
            LeaseLost: Another process has taken the job over.

        """
        from scorecards.rating import ScoringFailed
        from scorecards.scoring import noted_part, transcript_sha256
        from scorecards.suspicion import flags_of

        scorecard = self._pending(job)
        if scorecard is None:
            return
        with self._database.reading() as session:
            history = Messages(session).of(scorecard.interview)
        transcript = noted_part(history, scorecard.record)
        if transcript_sha256(transcript) != scorecard.transcript_sha256:
            self._fail(job, "The transcript has changed since the scorecard was asked for.")
            return
        flags = flags_of(transcript)
        try:
            runs = self._rated(scorecard, transcript, flags, job, is_held)
        except ScoringFailed as error:
            reason = f"{error.reason[:1].upper()}{error.reason[1:]}."
            if error.is_passing:
                raise Retry(reason) from error
            self._fail(job, reason)
            return
        self._finish(scorecard, transcript, flags, runs, job)

    def give_up(self, session: Session, job: Job, reason: str) -> None:
        """Store why the scorecard could not be made, and the runs that there are."""
        from scorecards.queries import ScorecardRuns, Scorecards

        scorecards, runs = Scorecards(session), ScorecardRuns(session)
        scorecard = scorecards.one(job.subject)
        if scorecard is not None:
            record = _with_runs(scorecard.record, runs.of(scorecard.id))
            scorecards.fail(scorecard.id, reason, record)
            runs.remove(scorecard.id)
            _note(session, scorecard, "scorecard.failed")

    def _pending(self, job: Job) -> "Scorecard | None":
        """Return the scorecard that is to be made, by this process's settings.

        If there is nothing to be done, end the job and return None.
        """
        from scorecards.queries import ScorecardRuns, Scorecards
        from scorecards.scoring import digest_of, scorer_of

        scorer = scorer_of(self._config)
        with self._database.transaction() as session:
            scorecards = Scorecards(session)
            scorecard = scorecards.one(job.subject)
            if scorecard is None or scorecard.state != "pending":
                Jobs(session).end(job)
                return None
            if scorecard.scorer == digest_of(scorer):
                return scorecard
            # The settings have changed since it was asked for. Runs of two scorers do not mix.
            _refuse_unless_held(session, job)
            ScorecardRuns(session).remove(scorecard.id)
            scorecard = scorecard._replace(
                scorer=digest_of(scorer), record={**scorecard.record, "scorer": scorer}
            )
            scorecards.change_scorer(scorecard.id, scorecard.scorer, scorecard.record)
            return scorecard

    def _rated(
        self,
        scorecard: "Scorecard",
        transcript: "list[TranscriptMessage]",
        flags: "Sequence[Flag]",
        job: Job,
        is_held: Callable[[], bool],
    ) -> "Mapping[RunKey, RunRecord]":
        """Return every run of the scorecard, those that were stored before included."""
        from scorecards.queries import ScorecardRuns
        from scorecards.rating import RunKey

        def store(run: RunKey, record: "RunRecord") -> None:
            with self._database.transaction() as session:
                _refuse_unless_held(session, job)
                ScorecardRuns(session).add(scorecard.id, run, record)

        with self._database.reading() as session:
            stored = ScorecardRuns(session).of(scorecard.id)
        return self._rater_of_process().rate(
            transcript,
            scorecard.interview,
            scorecard.record["rubric"]["body"],
            flags,
            {RunKey(*run): record for run, record in stored.items()},
            time.monotonic() + self._config.scoring_deadline,
            store,
            is_held,
        )

    def _rater_of_process(self) -> "Rater":
        from scorecards.rating import Rater

        if self._rater is None:  # one thread does these jobs
            self._rater = Rater(self._llm, self._config)
        return self._rater

    def _finish(
        self,
        scorecard: "Scorecard",
        transcript: "list[TranscriptMessage]",
        flags: "Sequence[Flag]",
        runs: "Mapping[RunKey, RunRecord]",
        job: Job,
    ) -> None:
        from scorecards.queries import ScorecardRuns, Scorecards
        from scorecards.result import computed, counting

        rubric = scorecard.record["rubric"]["body"]
        result = computed(rubric, transcript, flags, runs)
        counts = counting(result, [], rubric)
        record = _with_runs(scorecard.record, runs)
        with self._database.transaction(scorecard.interview) as session:
            Jobs(session).end(job)
            Scorecards(session).finish(scorecard.id, counts, result, record)
            ScorecardRuns(session).remove(scorecard.id)
            needs_review = counts.state == "needs_review"
            _note(
                session,
                scorecard,
                "scorecard.needs_review" if needs_review else "scorecard.ready",
            )

    def _fail(self, job: Job, reason: str) -> None:
        with self._database.transaction() as session:
            Jobs(session).end(job)
            self.give_up(session, job, reason)


def _note(session: Session, scorecard: "Scorecard", action: str) -> None:
    """Add an event to the audit trail."""
    AuditTrail(session).add(
        scorecard.interview.access_key,
        action,
        scorecard.interview,
        scorecard_id=scorecard.id,
        rubric_version=scorecard.rubric_version,
    )


def _refuse_unless_held(session: Session, job: Job) -> None:
    if not Jobs(session).renew(job, LEASE):
        raise LeaseLost


def _with_runs(record: "Json", runs: "Mapping[Any, RunRecord]") -> "Json":
    """Return the record with the runs, each with its criterion, mask and number, in order."""
    return {
        **record,
        "runs": [
            {"criterion": criterion, "is_masked": is_masked, "run": number, **run}
            for (criterion, is_masked, number), run in sorted(runs.items())
        ],
    }
