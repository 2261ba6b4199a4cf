"""What runs come to: from a model's answer to a run, to a criterion's result, to the total."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from statistics import median_low

from interviews.history import TranscriptMessage
from scorecards.evidence import SHORTEST, Said
from scorecards.scorecard import (
    CriterionResult,
    CriterionState,
    Evidence,
    Flag,
    JudgedRun,
    Rating,
)

DOUBTFUL_SPREAD = 2
"""Points between the highest and the lowest run from which on a person is asked."""

REMOVED = "[quotation removed]"

# An apostrophe within a word ends no quotation; what is opened and never closed goes to the end.
_QUOTATION = re.compile(
    r"\"(?P<straight>[^\"]*)\""
    r"|[\u201c\u201f](?P<english>[^\u201c\u201d\"]*)(?:[\u201d\"]|\Z)"
    r"|\u201e(?P<german>[^\u201c\u201d\"]*)(?:[\u201c\u201d\"]|\Z)"
    r"|\u00ab(?P<french>[^\u00ab\u00bb]*)(?:\u00bb|\Z)"
    r"|\u00bb(?P<danish>[^\u00ab\u00bb]*)\u00ab"
    r"|\u201d(?P<swedish>[^\u201d]*)\u201d"
    r"|[\u2018\u201b](?P<single>(?:[^\u2018\u2019]|\u2019(?=\w))*)(?:\u2019|\Z)"
    r"|\u201a(?P<low>[^\u2018\u2019\u201a]*)[\u2018\u2019]"
    r"|\u2039(?P<small>[^\u2039\u203a]*)\u203a"
    r"|\u300c(?P<japanese>[^\u300c\u300d]*)\u300d"
    r"|(?<!\w)'(?=\w)(?P<plain>(?:[^']|'(?=\w))*)'(?!\w)"
)

# A writer's stops and commas are often set within the quotation marks.
_EDGES = " \t\r\n.,;:!?\u2026"


def judged(
    rating: Rating,
    criterion: str,
    transcript: Sequence[TranscriptMessage],
    flags: Sequence[Flag],
) -> JudgedRun:
    """Verify the model's answer about a criterion.

    A score without one verified quote does not count, a low one neither, and what was written to
    explain it is left out.
    """
    said = Said(transcript, flags)
    evidence, rejected = said.verify(criterion, rating.evidence)
    if rating.score is not None and not evidence:
        return JudgedRun(None, "", (), rejected)
    return JudgedRun(rating.score, _without_inventions(rating.rationale, said), evidence, rejected)


def result_of(
    id: str,  # noqa: A002  the name that the rubric gives it
    title: str,
    runs: Sequence[JudgedRun],
    masked_runs: Sequence[JudgedRun],
) -> CriterionResult:
    """Return what the runs about one criterion come to.

    Where sentences were flagged, the runs that did not see them, `masked_runs`, are those that
    count. A person is asked if they are far apart, or if the flagged sentences raise the score.
    """
    counting = masked_runs or runs
    score = _median(counting)
    shown = [run for run in counting if run.score == score]
    state: CriterionState = "scored"
    if _is_doubtful(counting) or (masked_runs and (_median(runs) or 0) > (score or 0)):
        state = "needs_review"
    elif score is None:
        state = "insufficient_evidence"
    return CriterionResult(
        id=id,
        title=title,
        state=state,
        score=score if state == "scored" else None,
        machine_score=score,
        runs=tuple(run.score for run in counting),
        unmasked_runs=tuple(run.score for run in runs) if masked_runs else (),
        rationale=next((run.rationale for run in shown if run.rationale), ""),
        evidence=() if score is None else _together(run.evidence for run in shown),
    )


def total_of(
    scores: Mapping[str, int | None], weights: Mapping[str, float], min_coverage: float
) -> tuple[float | None, float]:
    """Return the weighted mean of the scores, and the share of the weight that was scored.

    The mean is None if that share is below `min_coverage`, or nothing was scored. Weights count as
    they are written, 0.1 as a tenth, so that neither their order nor binary fractions matter.
    """
    exact = {criterion: Fraction(str(weight)) for criterion, weight in weights.items()}
    scored = {
        criterion: score for criterion in exact if (score := scores.get(criterion)) is not None
    }
    weight = sum((exact[criterion] for criterion in scored), Fraction())
    if not weight:
        return None, 0.0
    coverage = weight / sum(exact.values())
    if coverage < Fraction(str(min_coverage)):
        return None, float(coverage)
    points = sum(exact[criterion] * score for criterion, score in scored.items())
    return float(points / weight), float(coverage)


def _median(runs: Sequence[JudgedRun]) -> int | None:
    """Return the lower median of the scores, None if most of the runs abstain."""
    scores = _scores(runs)
    return median_low(scores) if scores and 2 * len(scores) >= len(runs) else None


def _is_doubtful(runs: Sequence[JudgedRun]) -> bool:
    scores = _scores(runs)
    return _median(runs) is not None and max(scores) - min(scores) >= DOUBTFUL_SPREAD


def _scores(runs: Sequence[JudgedRun]) -> list[int]:
    return [run.score for run in runs if run.score is not None]


def _together(evidence: Iterable[Iterable[Evidence]]) -> tuple[Evidence, ...]:
    """Return the quotes in the order in which they were said, each place once."""
    found: dict[tuple[int, int, int], Evidence] = {}
    for quotes in evidence:
        for quote in quotes:
            found.setdefault((quote.message_id, quote.start, quote.end), quote)
    return tuple(found[place] for place in sorted(found))


def _without_inventions(rationale: str, said: Said) -> str:
    """Replace what the rationale quotes though nobody said it."""

    def checked(quotation: re.Match[str]) -> str:
        words = next(group for group in quotation.groups() if group is not None).strip(_EDGES)
        return quotation[0] if len(words) < SHORTEST or said.has(words) else REMOVED

    return _QUOTATION.sub(checked, rationale)
