"""The board's lists of a position's applicants, and the comparison of a few."""

import csv
import io

from flask import Response, request

from pages.board import page
from pages.board_positions import url_of
from pages.queries import SORTS, STATES, Applicants, Found, Row, Search
from positions.endpoints import position_of
from records.queries import Decisions
from scorecards.queries import ScorecardReviews, Scorecards
from scorecards.result import reviewed
from scorecards.views import cell
from web.fields import access_key_of_path
from web.service import service

APPLICANTS_IN_PAGE = 50
MOST_COMPARED = 4

# Rows of a download that are read at once.
ROWS_AT_ONCE = 500

DECISIONS = ("undecided", "potential", "selected", "rejected")
MAX_SEARCH_CHARS = 320


def applicants(access_key: str) -> Response:
    """Show the position's applicants, a page at a time."""
    position = position_of(access_key_of_path(access_key))
    search = _search()
    number = request.args.get("page", "1")
    page_number = int(number) if number.isdecimal() and len(number) < 7 else 1
    offset = (max(page_number, 1) - 1) * APPLICANTS_IN_PAGE
    with service().database.reading() as session:
        found = Applicants(session, position.access_key)
        rows = found.page(search, APPLICANTS_IN_PAGE + 1, offset)
        numbers = found.numbers()
        asked_number = found.number_asked()
    return page(
        "applicants.html",
        position=position,
        search=search,
        rows=rows[:APPLICANTS_IN_PAGE],
        numbers=numbers,
        asked_number=asked_number,
        page_number=max(page_number, 1),
        has_more=len(rows) > APPLICANTS_IN_PAGE,
        asked={
            name: value
            for name, value in request.args.items()
            if name in ("q", "state", "decision", "sort") and value
        },
        most_compared=MOST_COMPARED,
        url_of=url_of,
    )


def applicants_csv(access_key: str) -> Response:
    """Answer with the applicants that the list shows, all of them, as CSV."""
    position = position_of(access_key_of_path(access_key))
    search = _search()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        [*("name", "email", "state", "messages", "last_activity", "total"), *Row._fields[-3:]]
    )
    offset = 0
    while True:
        with service().database.reading() as session:
            rows = Applicants(session, position.access_key).page(search, ROWS_AT_ONCE, offset)
        for row in rows:
            _, name, email = row.interview
            cells = [name, email, row.state, row.messages, row.last_at, row.total, *row[-3:]]
            writer.writerow(map(cell, cells))
        offset += ROWS_AT_ONCE
        if len(rows) < ROWS_AT_ONCE:
            return download(text.getvalue(), "text/csv; charset=utf-8", "applicants.csv")


def compare(access_key: str) -> Response:
    """Show up to four applicants side by side."""
    position = position_of(access_key_of_path(access_key))
    numbers = [
        int(text) for text in request.args.getlist("i") if text.isdecimal() and len(text) < 18
    ]
    shown = []
    with service().database.reading() as session:
        for number in list(dict.fromkeys(numbers))[:MOST_COMPARED]:
            interview = Found(session).interview(number)
            if interview is None or interview.access_key != position.access_key:
                continue
            scorecard = Scorecards(session).counting(interview)
            decisions = Decisions(session).of(interview)
            criteria = {}
            if scorecard is not None and scorecard.result is not None:
                reviews = ScorecardReviews(session).of(scorecard.id)
                criteria = {one["id"]: one for one in reviewed(scorecard.result, reviews)}
            shown.append((number, interview, scorecard, criteria, decisions[-1:]))
    titles = {
        criterion_id: one["title"]
        for _, _, _, criteria, _ in shown
        for criterion_id, one in criteria.items()
    }
    return page(
        "compare.html",
        position=position,
        shown=shown,
        titles=titles,
        too_many=len(numbers) > MOST_COMPARED,
        versions={scorecard.rubric_version for _, _, scorecard, _, _ in shown if scorecard},
        url_of=url_of,
    )


def download(text: str, content_type: str, name: str) -> Response:
    """Answer with a file that browsers save."""
    disposition = f'attachment; filename="{name}"'
    return Response(text, content_type=content_type, headers={"Content-Disposition": disposition})


def _search() -> Search:
    """Return what the query asks for; what makes no sense is left out."""
    query = request.args
    state, decision, sort = (query.get(name, "") for name in ("state", "decision", "sort"))
    text = query.get("q", "").strip()[:MAX_SEARCH_CHARS].replace("\0", "")
    return Search(
        text.encode(errors="ignore").decode(),
        state if state in STATES else "",
        decision if decision in DECISIONS else "",
        sort if sort in SORTS else "newest",
    )
