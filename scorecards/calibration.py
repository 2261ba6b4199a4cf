"""The machine's ratings beside those of people, for interviews that people have rated.

Notes what the machine makes of each interview, and sums it up. Stores nothing.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from db import InterviewKey
from scorecards.agreement import Agreement, Reference, Retest, agreement, retest
from scorecards.evidence import Said
from scorecards.rated_interviews import RatedInterview
from scorecards.rating import Answered, Rater, RunRecord
from scorecards.result import judged_criteria
from scorecards.scorecard import CriterionResult, CriterionState, JudgedRun, Rejection
from scorecards.suspicion import flags_of

# Nobody's: the file has no names, and so there are none in the text to be replaced.
NOBODY = InterviewKey("calibration", "", "nobody@example.invalid")


class Observation(NamedTuple):
    """The machine's result for one criterion of one interview, beside that of people."""

    interview: str
    criterion: str
    reference: Reference | None
    state: CriterionState
    score: int | None
    runs: tuple[int | None, ...]
    unmasked_runs: tuple[int | None, ...]
    """As in `CriterionResult`."""

    verified: int
    """Quotes that all runs together gave and that were verified."""

    rejected: tuple[Rejection, ...]
    """The reasons for those that were not."""

    tokens_in: int
    tokens_out: int


class Summary(NamedTuple):
    """Figures over many observations."""

    observations: int
    agreement: Agreement
    """Agreement over the observations that both people and machine have scored."""

    retest: Retest
    abstained: float | None
    """The share that the machine left without a score for want of evidence."""

    left_to_people: float | None
    """The share that it left to people, as its runs or the flagged sentences demanded."""

    unscorable: int
    """Observations for which people found too little to go by."""

    unscorable_scored: int
    """Those among them to which the machine gave a score all the same."""

    quotes: int
    rejected: Mapping[Rejection, int]
    rejected_share: float | None
    tokens_in: int
    tokens_out: int


def rate(
    interview: RatedInterview, rater: Rater, seconds: float, is_wanted: Callable[[], bool]
) -> list[Observation]:
    """Rate an interview as the service does, and return what was made of each criterion.

    Args:
        interview: The interview.
        rater: Asks the model.
        seconds: The time that it may take.
        is_wanted: Whether to go on.

    Raises:
        ScoringFailed: The model did not rate it.

    """
    flags = flags_of(interview.transcript)
    records = rater.rate(
        interview.transcript,
        NOBODY,
        interview.rubric,
        flags,
        {},
        time.monotonic() + seconds,
        lambda _key, _record: None,
        is_wanted,
    )
    said = Said(interview.transcript, flags)
    return [
        _observation(
            interview,
            result,
            runs,
            [record for key, record in records.items() if key.criterion_id == result.id],
        )
        for result, runs in judged_criteria(interview.rubric, said, records)
    ]


def _observation(
    interview: RatedInterview,
    result: CriterionResult,
    runs: Sequence[JudgedRun],
    records: Sequence[RunRecord],
) -> Observation:
    return Observation(
        interview=interview.id,
        criterion=result.id,
        reference=interview.references[result.id],
        state=result.state,
        score=result.score,
        runs=result.runs,
        unmasked_runs=result.unmasked_runs,
        verified=sum(len(run.evidence) for run in runs),
        rejected=tuple(rejected.reason for run in runs for rejected in run.rejected),
        tokens_in=sum(answered["tokens_in"] for answered in _answers(records)),
        tokens_out=sum(answered["tokens_out"] for answered in _answers(records)),
    )


def _answers(records: Sequence[RunRecord]) -> Iterator[Answered]:
    """Yield every answer that was paid for, also those that were no ratings."""
    for record in records:
        yield record
        for attempt in record["attempts"]:
            if attempt["answered"] is not None:
                yield attempt["answered"]


def by_criterion(observations: Sequence[Observation]) -> dict[str, list[Observation]]:
    """Return the observations of each criterion, in the order in which the criteria occur."""
    groups: dict[str, list[Observation]] = {}
    for one in observations:
        groups.setdefault(one.criterion, []).append(one)
    return groups


def summary(observations: Sequence[Observation]) -> Summary:
    """Return what the observations come to."""
    unscorable = [one for one in observations if one.reference is None]
    rejected = Counter(reason for one in observations for reason in one.rejected)
    quotes = sum(one.verified for one in observations) + rejected.total()
    return Summary(
        observations=len(observations),
        agreement=agreement(
            [
                (one.score, one.reference)
                for one in observations
                if one.score is not None and one.reference is not None
            ]
        ),
        retest=retest([one.runs for one in observations]),
        abstained=_share(observations, "insufficient_evidence"),
        left_to_people=_share(observations, "needs_review"),
        unscorable=len(unscorable),
        unscorable_scored=sum(one.score is not None for one in unscorable),
        quotes=quotes,
        rejected=dict(rejected.most_common()),
        rejected_share=rejected.total() / quotes if quotes else None,
        tokens_in=sum(one.tokens_in for one in observations),
        tokens_out=sum(one.tokens_out for one in observations),
    )


def between(first: Sequence[Observation], second: Sequence[Observation]) -> Agreement:
    """Return how far two machines agree, where both gave a score; the first is the reference."""
    scores = {(one.interview, one.criterion): one.score for one in first}
    pairs = []
    for one in second:
        score = scores.get((one.interview, one.criterion))
        if one.score is not None and score is not None:
            pairs.append((one.score, Reference(score, score)))
    return agreement(pairs)


def _share(observations: Sequence[Observation], state: CriterionState) -> float | None:
    return fmean(one.state == state for one in observations) if observations else None
