"""How the board writes times, numbers and names of states."""

import csv
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from scorecards.views import cell

# What stands where there is no number.
DASH = "\u2013"

STATES: Mapping[str, tuple[str, str]] = {
    "invited": ("Invited", ""),
    "expired": ("Link expired", ""),
    "revoked": ("Withdrawn", ""),
    "started": ("Started", "accent"),
    "finished": ("Finished", "accent"),
    "pending": ("Being scored", "accent"),
    "scored": ("Scored", "good"),
    "needs_review": ("Needs review", "warn"),
    "failed": ("Scoring failed", "bad"),
    "another_way": ("Another way", "warn"),
}
"""Each state's words, and the kind of its tag."""

DECISIONS: Mapping[str, tuple[str, str]] = {
    "undecided": ("Undecided", ""),
    "potential": ("Potential", "accent"),
    "selected": ("Selected", "good"),
    "rejected": ("Rejected", "bad"),
}

REJECTIONS: Mapping[str, str] = {
    "not_found": "was not said",
    "wrong_message": "was said in another message",
    "not_the_applicant": "was said by the interviewer",
    "too_short": "is too short",
    "too_long": "is too long",
    "joined": "joins parts that do not follow each other",
    "instruction": "lies in a sentence that speaks to the scorer",
}


def moment(stored: str | None) -> str:
    """Return a stored time as `24 Nov 2025, 12:43`, without the year if it is this year's.

    Text that is not a time is returned unchanged.
    """
    time = as_datetime(stored)
    if time is None:
        return stored or ""
    year = "" if time.year == datetime.now(UTC).year else f" {time.year}"
    return f"{time.day} {time:%b}{year}, {time:%H:%M}"


def iso(stored: str | None) -> str:
    """Return a stored time as browsers read it: `YYYY-MM-DDTHH:MM:SSZ`."""
    time = as_datetime(stored)
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time else ""


def as_datetime(stored: str | None) -> datetime | None:
    """Return a stored time; None if it is none, as an older file may have."""
    try:
        time = datetime.fromisoformat(stored or "")
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def score(number: float | None) -> str:
    """Return a total or a score: `4`, `3.7`, or a dash where there is none."""
    return DASH if number is None else f"{round(number, 1):g}"


def percent(part: int, whole: int) -> str:
    """Return a share as `75 %`; empty if there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole else ""


def duration(seconds: float | None) -> str:
    """Return a time span in the two largest units that it has."""
    if seconds is None:
        return DASH
    minutes = round(seconds / 60)
    if minutes < 1:
        return "< 1 min"
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def csv_line(*cells: str) -> str:
    """Return a line of CSV, without its end."""
    line = io.StringIO()
    csv.writer(line).writerow(map(cell, cells))
    return line.getvalue().rstrip("\r\n")


FILTERS: Mapping[str, Callable[..., str] | Mapping[str, object]] = {
    "moment": moment,
    "iso": iso,
    "score": score,
    "percent": percent,
    "duration": duration,
    "csv_line": csv_line,
    "STATES": STATES,
    "DECISIONS": DECISIONS,
    "REJECTIONS": REJECTIONS,
}
"""What the templates of the board may call, by its name there."""
