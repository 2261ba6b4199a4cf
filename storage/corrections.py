"""Notes that applicants put to their own messages afterwards; what was said stays as it is."""

from storage.database import Session
from storage.rows import Correction, InterviewKey, position_digest
from storage.times import stored_now


class Corrections:
    """The notes of interviews; all are kept, and of a message's the newest counts."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def of(self, interview: InterviewKey) -> list[Correction]:
        """Return every note of the interview, oldest first."""
        rows = self._execute(
            "SELECT message_id, note, created_at FROM corrections WHERE interview = :interview"
            " ORDER BY number",
            {"interview": interview.digest()},
        )
        return list(map(Correction._make, rows.fetchall()))

    def newest(self, interview: InterviewKey) -> dict[int, Correction]:
        """Return the note that counts of each message that has one, by the message's id."""
        return {correction.message_id: correction for correction in self.of(interview)}

    def add(self, interview: InterviewKey, message_id: int, note: str) -> Correction:
        """Store a note of now, and return it."""
        made = Correction(message_id, note, stored_now())
        self._execute(
            "INSERT INTO corrections"
            " (interview, position, access_key, name, email, message_id, note, created_at)"
            " VALUES (:interview, :position, :access_key, :name, :email, :message_id, :note,"
            " :created_at)",
            {
                **interview._asdict(),
                **made._asdict(),
                "interview": interview.digest(),
                "position": position_digest(interview.access_key),
            },
        )
        return made
