"""The trail of what was done under an access key: events, added with what they tell of.

An event names nobody and holds no word of an interview, so that it can stay when those are erased.
`records/` links the events into chains, lists them and verifies them.
"""

import json
from datetime import UTC, datetime, timedelta

from monitoring import request_record
from storage.database import Session
from storage.rows import InterviewKey, position_digest
from storage.times import exact_time


class AuditTrail:
    """The events of every position, each named by its access key."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def add(
        self,
        access_key: str,
        action: str,
        interview: InterviewKey | None = None,
        *,
        actor: str | None = None,
        **detail: str | int | None,
    ) -> None:
        """Add an event, in the transaction that stores what it tells of.

        Args:
            access_key: The position's.
            action: What was done, as `interview.started`.
            interview: Whose interview it was done to; None for what concerns the whole position.
            actor: Who did it, if not the caller of this thread's request.
            detail: Figures and ids that belong to it: never a name, an address or a word that
                somebody has written.

        """
        self._execute(
            "INSERT INTO audit_events (position, at, actor, action, subject, detail)"
            " VALUES (:position, :at, :actor, :action, :subject, :detail)",
            {
                "position": position_digest(access_key),
                "at": exact_time(datetime.now(UTC)),
                "actor": actor or request_record.actor(),
                "action": action,
                "subject": interview.digest() if interview else "",
                "detail": _written(detail) if detail else "",
            },
        )

    def has_of_late(
        self, action: str, interview: InterviewKey, seconds: float, actor: str | None = None
    ) -> bool:
        """Return whether the same was done by the same actor in the last so many seconds."""
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        row = self._execute(
            "SELECT 1 FROM audit_events WHERE subject = :subject AND at > :since"
            " AND action = :action AND actor = :actor LIMIT 1",
            {
                "subject": interview.digest(),
                "since": exact_time(since),
                "action": action,
                "actor": actor or request_record.actor(),
            },
        ).fetchone()
        return row is not None


def _written(detail: dict[str, str | int | None]) -> str:
    return json.dumps(detail, sort_keys=True, separators=(",", ":"))
