"""Applicants' requests for another way than the interview, such as to talk to a person."""

from db import (
    AuditTrail,
    InterviewKey,
    Messages,
    PositionTerms,
    Session,
    position_digest,
    stored_now,
)
from records.errors import NobodyToAsk
from web.service import service


class OtherWays:
    """The requests, of which each applicant has one at most."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def asked_at(self, interview: InterviewKey) -> str | None:
        """Return when the applicant has asked; None if they have not."""
        row = self._execute(
            "SELECT asked_at FROM other_ways WHERE interview = :interview ORDER BY number LIMIT 1",
            {"interview": interview.digest()},
        ).fetchone()
        return str(row[0]) if row else None

    def add(self, interview: InterviewKey) -> str:
        """Store that the applicant asks now, and return the time."""
        now = stored_now()
        self._execute(
            "INSERT INTO other_ways (interview, position, access_key, name, email, asked_at)"
            " VALUES (:interview, :position, :access_key, :name, :email, :now)",
            {
                **interview._asdict(),
                "interview": interview.digest(),
                "position": position_digest(interview.access_key),
                "now": now,
            },
        )
        return now


def ask(interview: InterviewKey) -> str:
    """Store that the applicant asks for another way, and return when they have first done so.

    It changes nothing else: an interview under way can go on.

    Raises:
        NobodyToAsk: The access key has no position, and the applicant no interview.

    """
    with service().database.transaction(interview) as session:
        other_ways = OtherWays(session)
        known = other_ways.asked_at(interview)
        if known is not None:
            return known
        if (
            PositionTerms(session).of(interview.access_key) is None
            and Messages(session).newest(interview) is None
        ):
            raise NobodyToAsk
        now = other_ways.add(interview)
        AuditTrail(session).add(interview.access_key, "another_way.asked", interview)
    return now
