"""Retention: who is erased because a position keeps nobody for longer, and when.

Nobody is erased before a week has passed in which the board could show that they would be. So a
time that was shortened has its effect a week later at the earliest.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from db import Database, InterviewKey, Session
from positions.retention import Retention, Retentions
from records.erasing import erase_rows, has_wiped
from records.errors import Held
from records.hold_queries import LegalHolds
from records.retention_queries import LastHeardOf

# Days for which the board shows who is about to be erased.
SHOWN_FOR = timedelta(days=7)

# People who are erased before the files are wiped, once for all of them.
AT_ONCE = 50


class Due(NamedTuple):
    """A person who is about to be erased."""

    interview: InterviewKey
    last_heard: datetime
    has_interview: bool
    due: datetime


def now() -> datetime:
    """Return the time by which interviews grow old."""
    return datetime.now(UTC)


def about_to_go(session: Session, access_key: str) -> list[Due]:
    """Return who is erased within a week, unless somebody is in the way; the next one first."""
    retention = Retentions(session).of(access_key)
    return [] if retention is None else _due(session, retention, now() + SHOWN_FOR)


def sweep(database: Database, is_held: Callable[[], bool]) -> int:
    """Erase everybody whose time is over, and return how many that were.

    Args:
        database: Where they are.
        is_held: Returns False once another process may be doing the same.

    """
    with database.reading() as session:
        retentions = Retentions(session).all()
    erased = 0
    for retention in retentions:
        with database.reading() as session:
            due = _due(session, retention, now())
        for number, person in enumerate(due, 1):
            if not is_held():
                return erased
            erased += _has_erased(database, retention.access_key, person.interview)
            if database.must_be_wiped and (number % AT_ONCE == 0 or number == len(due)):
                has_wiped(database)  # otherwise the job does it that each erasure has added
    return erased


def _has_erased(database: Database, access_key: str, interview: InterviewKey) -> bool:
    """Erase the person, if nothing has changed since they were found, and return whether."""
    with database.transaction(interview) as session:
        retention = Retentions(session).of(access_key)
        heard = LastHeardOf(session, access_key).one(interview)
        if retention is None or heard is None or _due_at(retention, heard.at) > now():
            return False
        try:
            receipt = erase_rows(session, interview, must_be_wiped=database.must_be_wiped)
        except Held:
            return False
    return receipt is not None


def _due(session: Session, retention: Retention, moment: datetime) -> list[Due]:
    """Return who may be erased at a moment, and is not held."""
    if datetime.fromisoformat(retention.since).replace(tzinfo=UTC) + SHOWN_FOR > moment:
        return []
    holds = LegalHolds(session).digests(retention.access_key)
    if "" in holds:
        return []
    heard = LastHeardOf(session, retention.access_key).before(
        moment - timedelta(days=retention.days)
    )
    due = [
        Due(one.interview, one.at, one.has_interview, _due_at(retention, one.at)) for one in heard
    ]
    return sorted(
        (one for one in due if one.interview.digest() not in holds), key=lambda one: one.due
    )


def _due_at(retention: Retention, last_heard: datetime) -> datetime:
    since = datetime.fromisoformat(retention.since).replace(tzinfo=UTC)
    return max(last_heard + timedelta(days=retention.days), since + SHOWN_FOR)
