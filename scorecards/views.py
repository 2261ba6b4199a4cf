"""Scorecards as clients read them: one in full, or a row an applicant, as JSON or as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from scorecards.queries import Json, Review, Scorecard, Summary
from scorecards.result import reviewed

# Characters with which a cell begins that spreadsheets take for a formula; the full-width ones are
# folded to them by some.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CONTROLS = ("\t", "\r", "\n")


class Row(NamedTuple):
    """One applicant in the comparison."""

    name: str
    email: str
    scorecard_id: str | None
    state: str
    """Of the scorecard, or `unscored`."""
    pending: bool
    """True if a scorecard is being made."""
    total: float | None
    coverage: float | None
    scores: dict[str, int | None]
    rubric_version: int | None


def scorecard_json(scorecard: Scorecard, reviews: Sequence[Review]) -> Json:
    """Return a scorecard in full."""
    result = scorecard.result or {"criteria": [], "flags": [], "rejected_evidence": []}
    return {
        "id": scorecard.id,
        "state": scorecard.state,
        "reason": scorecard.reason,
        "created_at": _moment(scorecard.created_at),
        "finished_at": scorecard.finished_at and _moment(scorecard.finished_at),
        "rubric_version": scorecard.rubric_version,
        "total": scorecard.total,
        "coverage": scorecard.coverage,
        "criteria": reviewed(result, reviews),
        "flags": result["flags"],
        "rejected_evidence": result["rejected_evidence"],
        "reviews": [
            {**review._asdict(), "created_at": _moment(review.created_at)} for review in reviews
        ],
        "record": scorecard.record,
    }


def rows(applicants: Iterable[tuple[str, str]], summaries: Iterable[Summary]) -> list[Row]:
    """Return a row for each applicant: the highest total first, those without a total last.

    Of an applicant's scorecards the newest with a result is shown; if none has one, the newest.

    Args:
        applicants: The names and e-mail addresses of everyone with an interview.
        summaries: All scorecards, oldest first.

    """
    summaries = list(summaries)
    # One call for all: reading each by itself takes longer than all the rest.
    scores = json.loads(f"[{','.join(summary.scores or '{}' for summary in summaries)}]")
    shown: dict[tuple[str, str], tuple[Summary, dict[str, int | None]]] = {}
    pending = set()
    for summary, scores_of_one in zip(summaries, scores, strict=True):
        applicant = (summary.name, summary.email)
        if summary.state == "pending":
            pending.add(applicant)
        if applicant not in shown or summary.scores or not shown[applicant][0].scores:
            shown[applicant] = (summary, scores_of_one)
    found = [
        _row(applicant, shown.get(applicant), applicant in pending) for applicant in applicants
    ]
    found.sort(key=lambda row: (-row.total if row.total is not None else 1.0, row.name, row.email))
    return found


def row_json(row: Row) -> Json:
    """Return a row of the comparison."""
    return row._asdict()


def as_csv(comparison: Sequence[Row]) -> str:
    """Return the comparison as CSV, with a column for each criterion of any rubric in it."""
    criteria = list(dict.fromkeys(chain.from_iterable(row.scores for row in comparison)))
    text = io.StringIO()
    writer = csv.writer(text)
    columns = [name for name in Row._fields if name != "scores"]
    writer.writerow([*columns, *(f"score_{criterion}" for criterion in criteria)])
    for row in comparison:
        cells = [getattr(row, name) for name in columns]
        writer.writerow(map(cell, [*cells, *(row.scores.get(one) for one in criteria)]))
    return text.getvalue()


def _row(
    applicant: tuple[str, str],
    shown: tuple[Summary, dict[str, int | None]] | None,
    pending: bool,
) -> Row:
    if shown is None:
        return Row(*applicant, None, "unscored", pending, None, None, {}, None)
    summary, scores = shown
    _, _, scorecard_id, state, total, coverage, _, rubric_version = summary
    return Row(*applicant, scorecard_id, state, pending, total, coverage, scores, rubric_version)


def cell(value: Any) -> Any:  # noqa: ANN401  # whatever a row holds
    """Return the value as a cell that no spreadsheet takes for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (
        value.startswith(CONTROLS) or value.lstrip().startswith(FORMULA)
    ):
        return f"'{value}"
    return value


def _moment(stored: str) -> str:
    """Return a stored time as clients read it: `YYYY-MM-DDTHH:MM:SSZ`."""
    return f"{stored[:10]}T{stored[11:19]}Z"
