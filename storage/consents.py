"""Applicants' consents: that somebody has accepted a version of a position's notice."""

from storage.database import Session
from storage.rows import Consent, InterviewKey, position_digest
from storage.times import stored_now


class Consents:
    """The consents of applicants, one for each version of the notice that they have accepted."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def of(self, interview: InterviewKey) -> list[Consent]:
        """Return every consent of the applicant, oldest first."""
        rows = self._execute(
            "SELECT version, accepted_at FROM consents WHERE interview = :interview"
            " ORDER BY number",
            {"interview": interview.digest()},
        )
        return list(map(Consent._make, rows.fetchall()))

    def accepted_at(self, interview: InterviewKey, version: int) -> str | None:
        """Return when the applicant has accepted the version; None if they have not."""
        row = self._execute(
            "SELECT accepted_at FROM consents WHERE interview = :interview AND version = :version"
            " ORDER BY number LIMIT 1",
            {"interview": interview.digest(), "version": version},
        ).fetchone()
        return str(row[0]) if row else None

    def add(self, interview: InterviewKey, version: int) -> Consent:
        """Store that the applicant accepts the version now, and return it."""
        made = Consent(version, stored_now())
        self._execute(
            "INSERT INTO consents"
            " (interview, position, access_key, name, email, version, accepted_at)"
            " VALUES (:interview, :position, :access_key, :name, :email, :version, :accepted_at)",
            {
                **interview._asdict(),
                **made._asdict(),
                "interview": interview.digest(),
                "position": position_digest(interview.access_key),
            },
        )
        return made
