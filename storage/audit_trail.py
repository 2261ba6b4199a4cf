"""The trail of what was done under an access key: events, added with what they tell of.

An event names nobody and holds no word of an interview, so that it can stay when those are erased.
`records/` links the events into chains, lists them and verifies them.
"""

import json

from monitoring import request_record
from storage.database import Session
from storage.rows import InterviewKey, position_digest
from storage.times import stored_now


class AuditTrail:
    """The events of every position, each named by its access key."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def add(
        self,
        access_key: str,
        action: str,
        interview: InterviewKey | None = None,
        **detail: str | int | None,
    ) -> None:
        """Add an event, in the transaction that stores what it tells of.

        Args:
            access_key: The position's.
            action: What was done, as `interview.started`.
            interview: Whose interview it was done to; None for what concerns the whole position.
            detail: Figures and ids that belong to it: never a name, an address or a word that
                somebody has written.

        """
        self._execute(
            "INSERT INTO audit_events (position, at, actor, action, subject, detail)"
            " VALUES (:position, :at, :actor, :action, :subject, :detail)",
            {
                "position": position_digest(access_key),
                "at": stored_now(),
                "actor": request_record.current().caller or "system",
                "action": action,
                "subject": interview.digest() if interview else "",
                "detail": json.dumps(detail, sort_keys=True) if detail else "",
            },
        )
