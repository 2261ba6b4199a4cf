"""What a scorecard comes to: pure functions of its transcript, its runs and its reviews.

Everything here can be computed again from what is stored.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from interviews.history import TranscriptMessage
from scorecards.asking import rating_of
from scorecards.evidence import Said
from scorecards.queries import Counting, Json, Review
from scorecards.rating import RunKey, RunRecord
from scorecards.scorecard import CriterionResult, Flag, JudgedRun
from scorecards.verdict import judged, result_of, total_of


def computed(
    rubric: Json,
    transcript: Sequence[TranscriptMessage],
    flags: Sequence[Flag],
    runs: Mapping[RunKey, RunRecord],
) -> Json:
    """Return the result of the runs, as it is stored: criteria, flags and rejected evidence."""
    found = list(judged_criteria(rubric, Said(transcript, flags), runs))
    criteria = [result for result, _ in found]
    rejected = chain.from_iterable(run.rejected for _, judged_runs in found for run in judged_runs)
    note_flags = [flag.as_json() for flag in flags if flag.is_in_note]
    return {
        "criteria": list(map(_criterion, criteria)),
        "flags": [flag.as_json() for flag in flags if not flag.is_in_note],
        # By themselves, as readers of the others look for their places in messages.
        **({"note_flags": note_flags} if note_flags else {}),
        # Each once: several runs may give the same quote.
        "rejected_evidence": [quote._asdict() for quote in dict.fromkeys(rejected)],
    }


def judged_criteria(
    rubric: Mapping[str, Any], said: Said, runs: Mapping[RunKey, RunRecord]
) -> Iterator[tuple[CriterionResult, list[JudgedRun]]]:
    """Yield what the runs about each criterion come to, and those runs, judged."""
    by_criterion: defaultdict[tuple[str, bool], list[JudgedRun]] = defaultdict(list)
    for (criterion, is_masked, _), run in sorted(runs.items()):
        rating = rating_of(run["answer"], run["placeholders"])
        by_criterion[criterion, is_masked].append(judged(rating, criterion, said))
    for criterion in rubric["criteria"]:
        unmasked, masked = (by_criterion[criterion["id"], is_masked] for is_masked in (False, True))
        result = result_of(criterion["id"], criterion["title"], unmasked, masked)
        yield result, [*unmasked, *masked]


def runs_of(record: Json) -> dict[RunKey, RunRecord]:
    """Return the runs that a record holds."""
    return {RunKey(run["criterion"], run["is_masked"], run["run"]): run for run in record["runs"]}


def reviewed(result: Json, reviews: Sequence[Review]) -> list[Json]:
    """Return the result's criteria as they count: by the newest review of each that has one."""
    newest = {review.criterion: review for review in reviews}
    return [
        _with_review(criterion, newest.get(criterion["id"])) for criterion in result["criteria"]
    ]


def counting(result: Json, reviews: Sequence[Review], rubric: Json) -> Counting:
    """Return what counts: the total of the scores, and whether a person is still needed."""
    criteria = reviewed(result, reviews)
    scores = {criterion["id"]: criterion["score"] for criterion in criteria}
    weights = {criterion["id"]: criterion["weight"] for criterion in rubric["criteria"]}
    total, coverage = total_of(scores, weights, rubric["minCoverage"])
    is_open = any(criterion["state"] == "needs_review" for criterion in criteria)
    return Counting("needs_review" if is_open else "scored", total, coverage, scores)


def _criterion(result: CriterionResult) -> Json:
    return {
        **result._asdict(),
        "machine_state": result.state,
        "runs": list(result.runs),
        "unmasked_runs": list(result.unmasked_runs),
        "evidence": [evidence._asdict() for evidence in result.evidence],
    }


def _with_review(criterion: Json, review: Review | None) -> Json:
    if review is None:
        return criterion
    state = "insufficient_evidence" if review.score is None else "scored"
    return {**criterion, "state": state, "score": review.score}
