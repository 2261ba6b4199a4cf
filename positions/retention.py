"""How long positions keep what is stored about their applicants. The sweep is in `records/`."""

from typing import NamedTuple

from background.jobs import Jobs
from db import Session, position_digest, stored_now

# The job of the sweep, which there is while any position has a time after which it erases.
JOB_KIND = "erasing"
SWEEP = "sweep"


class Retention(NamedTuple):
    """How long a position keeps an interview."""

    access_key: str
    days: int
    since: str
    """When it was given this time, or a longer one in which this one was not over yet."""


class Retentions:
    """The times for which positions keep interviews."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._execute = session.execute

    def put(self, access_key: str, days: int | None) -> None:
        """Store for how many days the position keeps interviews; None for as long as it exists."""
        self._execute(
            "UPDATE positions SET retention_days = CAST(:days AS INTEGER), retention_since = CASE"
            " WHEN retention_days <= CAST(:days AS INTEGER) THEN retention_since"
            " WHEN CAST(:days AS INTEGER) IS NULL THEN NULL ELSE :now END"
            " WHERE position = :position",
            {"position": position_digest(access_key), "days": days, "now": stored_now()},
        )
        if days is not None:
            Jobs(self._session).add(JOB_KIND, SWEEP)

    def of(self, access_key: str) -> Retention | None:
        """Return how long the position keeps interviews; None if as long as it exists."""
        row = self._execute(
            "SELECT access_key, retention_days, retention_since FROM positions"
            " WHERE position = :position AND retention_days IS NOT NULL",
            {"position": position_digest(access_key)},
        ).fetchone()
        return Retention._make(row) if row else None

    def all(self) -> list[Retention]:
        """Return those of all positions that have one."""
        rows = self._execute(
            "SELECT access_key, retention_days, retention_since FROM positions"
            " WHERE retention_days IS NOT NULL ORDER BY id",
            {},
        )
        return list(map(Retention._make, rows.fetchall()))
