"""The board's figures of a position, as charts."""

from datetime import UTC, date, datetime
from statistics import median

from flask import Response

from pages.board import page
from pages.board_positions import url_of
from pages.charts import distribution, growth
from pages.formats import as_datetime
from pages.queries import Overviews
from positions.endpoints import position_of
from web.fields import access_key_of_path
from web.service import service


def overview(access_key: str) -> Response:
    """Show the applicants over time, their totals, and how long an interview takes."""
    position = position_of(access_key_of_path(access_key))
    with service().database.reading() as session:
        overviews = Overviews(session)
        invited = overviews.invitations(position.access_key)
        spans = overviews.spans(position.access_key)
        scored = overviews.totals(position.access_key)
    seconds = []
    for started, finished in spans:
        begin, end = as_datetime(started), as_datetime(finished)
        if begin is not None and end is not None:
            seconds.append((end - begin).total_seconds())
    events = {
        "Invited": _days(invited),
        "Started": _days([started for started, _ in spans]),
        "Finished": _days([finished for _, finished in spans]),
        "Scored": _days([at for _, _, at in scored]),
    }
    days = {day for every in events.values() for day in every}
    totals = [total for _, total, _ in scored if total is not None]
    return page(
        "overview.html",
        position=position,
        lines=growth(events, datetime.now(UTC).date()),
        one_day=days.pop() if len(days) == 1 else None,
        events={name: len(every) for name, every in events.items()},
        bars=distribution(totals) if totals else [],
        median_total=median(totals) if totals else None,
        median_seconds=median(seconds) if seconds else None,
        needs_review=sum(state == "needs_review" for state, _, _ in scored),
        without_total=len(scored) - len(totals),
        numbers=(len(invited), len(spans), sum(end is not None for _, end in spans), len(scored)),
        url_of=url_of,
    )


def _days(times: list[str] | list[str | None]) -> list[date]:
    return [day for day in map(_day, times) if day is not None]


def _day(stored: str | None) -> date | None:
    # Not by reading the whole time, as there may be thousands.
    try:
        return date.fromisoformat((stored or "")[:10])
    except ValueError:
        return None
