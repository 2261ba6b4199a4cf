"""The queries of decisions; none is ever changed, and of an applicant's the newest counts."""

from typing import NamedTuple

from db import InterviewKey, Session, position_digest, stored_now


class Decision(NamedTuple):
    """What a person has decided about an applicant. The time is UTC."""

    decision: str
    reason: str
    reviewer: str
    created_at: str
    """`YYYY-MM-DD HH:MM:SS.ffffff`."""


class Decisions:
    """Decisions about applicants, each named by the interview."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_interview = session.one_interview

    def of(self, interview: InterviewKey) -> list[Decision]:
        """Return the decisions about an applicant, oldest first."""
        rows = self._execute(
            "SELECT decision, reason, reviewer, created_at FROM decisions"
            " WHERE interview = :interview ORDER BY number",
            {"interview": interview.digest()},
        )
        return list(map(Decision._make, rows.fetchall()))

    def add(self, interview: InterviewKey, decision: str, reason: str, reviewer: str) -> Decision:
        """Store a decision of now, and return it."""
        made = Decision(decision, reason, reviewer, stored_now())
        self._execute(
            "INSERT INTO decisions (interview, position, access_key, name, email, decision, reason,"
            " reviewer, created_at) VALUES (:interview, :position, :access_key, :name, :email,"
            " :decision, :reason, :reviewer, :created_at)",
            {
                **interview._asdict(),
                **made._asdict(),
                "interview": interview.digest(),
                "position": position_digest(interview.access_key),
            },
        )
        return made

    def knows(self, interview: InterviewKey) -> bool:
        """Return whether they have an interview or an invitation, or have asked for another way."""
        row = self._execute(
            f"SELECT EXISTS (SELECT 1 FROM messages WHERE {self._one_interview})"
            " OR EXISTS (SELECT 1 FROM invitations WHERE interview = :interview)"
            " OR EXISTS (SELECT 1 FROM other_ways WHERE interview = :interview)",
            {**interview._asdict(), "interview": interview.digest()},
        ).fetchone()
        return bool(row and row[0])
