"""The queries of legal holds: what must not be erased, and why. Those that have ended are kept."""

from typing import NamedTuple

from db import InterviewKey, Session, position_digest, stored_now

COLUMNS = (
    "number, access_key, name, email, reason, held_by, created_at, ended_at, ended_by, end_reason"
)


class LegalHold(NamedTuple):
    """A hold on one interview, or with an empty name and address on a whole position."""

    number: int
    access_key: str
    name: str
    email: str
    reason: str
    held_by: str
    created_at: str
    ended_at: str | None
    ended_by: str | None
    end_reason: str | None


class LegalHolds:
    """Legal holds, of which each interview and each position has one at most that has not ended."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_interview = session.one_interview
        self._one_access_key = session.one_access_key

    def holding(self, interview: InterviewKey) -> bool:
        """Return whether a hold on the interview, or on its position, has not ended."""
        row = self._execute(
            "SELECT 1 FROM legal_holds WHERE position = :position"
            " AND interview IN ('', :interview) AND ended_at IS NULL LIMIT 1",
            _subject(interview.access_key, interview),
        ).fetchone()
        return row is not None

    def digests(self, access_key: str) -> set[str]:
        """Return the interviews under the access key that are held; '' stands for all of them."""
        rows = self._execute(
            "SELECT interview FROM legal_holds WHERE position = :position AND ended_at IS NULL",
            {"position": position_digest(access_key)},
        )
        return {interview for (interview,) in rows.fetchall()}

    def current(self, access_key: str, interview: InterviewKey | None) -> LegalHold | None:
        """Return the hold on exactly this interview, or with None on the position."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM legal_holds WHERE position = :position"
            " AND interview = :interview AND ended_at IS NULL",
            _subject(access_key, interview),
        ).fetchone()
        return LegalHold._make(row) if row else None

    def set(
        self, access_key: str, interview: InterviewKey | None, reason: str, reviewer: str
    ) -> None:
        """Store a hold of now."""
        self._execute(
            "INSERT INTO legal_holds (position, interview, access_key, name, email, reason,"
            " held_by, created_at) VALUES (:position, :interview, :access_key, :name, :email,"
            " :reason, :held_by, :created_at)",
            {
                **_subject(access_key, interview),
                **(interview or InterviewKey(access_key, "", ""))._asdict(),
                "reason": reason,
                "held_by": reviewer,
                "created_at": stored_now(),
            },
        )

    def end(
        self, access_key: str, interview: InterviewKey | None, reason: str, reviewer: str
    ) -> bool:
        """End the hold on exactly this, and return whether there was one."""
        rows = self._execute(
            "UPDATE legal_holds SET ended_at = :ended_at, ended_by = :ended_by,"
            " end_reason = :end_reason WHERE position = :position AND interview = :interview"
            " AND ended_at IS NULL RETURNING number",
            {
                **_subject(access_key, interview),
                "ended_at": stored_now(),
                "ended_by": reviewer,
                "end_reason": reason,
            },
        )
        return bool(rows.fetchall())

    def one(self, number: int) -> LegalHold | None:
        """Return the hold with this number."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM legal_holds WHERE number = :number", {"number": number}
        ).fetchone()
        return LegalHold._make(row) if row else None

    def all(self) -> list[LegalHold]:
        """Return every hold, those that have not ended first, and the newest of them first."""
        rows = self._execute(
            f"SELECT {COLUMNS} FROM legal_holds"
            " ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, number DESC",
            {},
        )
        return list(map(LegalHold._make, rows.fetchall()))

    def knows(self, access_key: str) -> bool:
        """Return whether there is a position, an interview or an invitation under the key."""
        row = self._execute(
            "SELECT EXISTS (SELECT 1 FROM positions WHERE position = :position)"
            f" OR EXISTS (SELECT 1 FROM messages WHERE {self._one_access_key})"
            " OR EXISTS (SELECT 1 FROM invitations WHERE position = :position)",
            {"position": position_digest(access_key), "access_key": access_key},
        ).fetchone()
        return bool(row and row[0])


def _subject(access_key: str, interview: InterviewKey | None) -> dict[str, object]:
    return {
        "position": position_digest(access_key),
        "interview": interview.digest() if interview else "",
    }
