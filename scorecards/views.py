"""Scorecards as clients read them: one in full, or a row an applicant, as JSON or as CSV."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from db import as_clients_read
from scorecards.queries import Json, Review, Scorecard, Summary
from scorecards.result import reviewed

# Where what follows may be taken for a formula: at the beginning of a cell, and behind what sets
# cells apart for a spreadsheet of another language. Full-width signs are taken for the others.
_FORMULA = re.compile(r"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")

_quoted = json.encoder.encode_basestring


class Row(NamedTuple):
    """One applicant in the comparison."""

    name: str
    email: str
    scorecard_id: str | None
    state: str
    """Of the scorecard; `unscored` if there is none."""
    pending: bool
    """True if a scorecard is being made."""
    total: float | None
    coverage: float | None
    rubric_version: int | None
    scores: str
    """An object of JSON: the score by criterion."""


def scorecard_json(
    scorecard: Scorecard, reviews: Sequence[Review], is_out_of_date: bool = False
) -> Json:
    """Return a scorecard in full."""
    result = scorecard.result or {"criteria": [], "flags": [], "rejected_evidence": []}
    return {
        "id": scorecard.id,
        "state": scorecard.state,
        "is_out_of_date": is_out_of_date,
        "reason": scorecard.reason,
        "created_at": as_clients_read(scorecard.created_at),
        "finished_at": scorecard.finished_at and as_clients_read(scorecard.finished_at),
        "rubric_version": scorecard.rubric_version,
        "total": scorecard.total,
        "coverage": scorecard.coverage,
        "criteria": reviewed(result, reviews),
        "flags": result["flags"],
        **({"note_flags": result["note_flags"]} if "note_flags" in result else {}),
        "rejected_evidence": result["rejected_evidence"],
        "reviews": [
            {**review._asdict(), "created_at": as_clients_read(review.created_at)}
            for review in reviews
        ],
        "record": scorecard.record,
    }


def rows(applicants: Iterable[tuple[str, str]], summaries: Sequence[Summary]) -> list[Row]:
    """Return a row for each applicant: the highest total first, those without a total last.

    Of an applicant's scorecards the newest with a result is shown; if none has one, the newest.

    Args:
        applicants: The names and e-mail addresses of everyone with an interview.
        summaries: All scorecards, oldest first.

    """
    shown: dict[tuple[str, str], Summary] = {}
    pending = set()
    for summary in summaries:
        applicant = (summary.name, summary.email)
        if summary.state == "pending":
            pending.add(applicant)
        if summary.scores or applicant not in shown or not shown[applicant].scores:
            shown[applicant] = summary
    found = []
    for applicant in applicants:
        known = shown.get(applicant)
        if known is None:
            row = Row(*applicant, None, "unscored", False, None, None, None, "{}")
        else:
            _, _, scorecard_id, state, total, coverage, scores, version = known
            is_pending = applicant in pending
            row = Row(
                *applicant,
                scorecard_id,
                state,
                is_pending,
                total,
                coverage,
                version,
                scores or "{}",
            )
        found.append((1.0 if row.total is None else -row.total, row))
    found.sort(key=itemgetter(0, 1))
    return [row for _, row in found]


def as_json(comparison: Iterable[Row]) -> str:
    """Return the rows as a list in JSON.

    The scores are there as JSON already. Reading them only to write them again takes longer, for
    thousands of applicants, than all the rest.
    """
    return f"[{','.join(map(_row_json, comparison))}]"


def as_csv(comparison: Sequence[Row]) -> str:
    """Return the rows as CSV, with a column for each criterion of any rubric among them."""
    # One call for all: one for each takes twice as long.
    scores = json.loads(f"[{','.join(row.scores for row in comparison)}]")
    criteria = list(dict.fromkeys(chain.from_iterable(scores)))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*Row._fields[:-1], *(f"score_{criterion}" for criterion in criteria)])
    for row, scored in zip(comparison, scores, strict=True):
        writer.writerow([*map(cell, row[:-1]), *map(scored.get, criteria)])
    return text.getvalue()


def _row_json(row: Row) -> str:
    name, email, scorecard_id, state, pending, total, coverage, version, scores = row
    return (
        f'{{"name":{_quoted(name)},"email":{_quoted(email)},'
        f'"scorecard_id":{_quoted(scorecard_id) if scorecard_id else "null"},'
        f'"state":"{state}","pending":{"true" if pending else "false"},'
        f'"total":{"null" if total is None else total},'
        f'"coverage":{"null" if coverage is None else coverage},'
        f'"scores":{scores},"rubric_version":{version or "null"}}}'
    )


def cell(value: Any) -> Any:  # noqa: ANN401  # whatever a row holds
    """Return the value as a cell that no spreadsheet takes for a formula, whole or in part."""
    if isinstance(value, str):
        return _FORMULA.sub("'", value)
    return str(value).lower() if isinstance(value, bool) else value
