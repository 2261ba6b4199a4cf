"""Every query of the service's own tables, written once for SQLite and PostgreSQL.

Contains no interview logic: `interviews/interview.py` decides what is stored when. Parameters are
written as in SQLite, `:name`. No result is fetched before it is needed, as each fetch from
PostgreSQL waits for a round trip.
"""

from collections.abc import Callable

from storage.database import Rows, Session
from storage.rows import Applicant, InterviewKey, Message, Role, Terms, position_digest
from storage.times import stored_now


class Messages:
    """The messages of interviews, and the idempotency keys that they came with."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_interview = session.one_interview
        self._one_access_key = session.one_access_key

    def of(self, interview: InterviewKey) -> list[Message]:
        """Return every message of the interview, oldest first."""
        return list(map(Message._make, self._of(interview).fetchall()))

    def of_with_key(
        self, interview: InterviewKey, idempotency_key: str
    ) -> tuple[list[Message], tuple[str, int] | None]:
        """Return every message of the interview, oldest first, and the key's entry.

        The entry is the request that came with the key, and the id of the message that it stored;
        None if the key is new.
        """
        # The key first: its message is stored with it or before it, so that it is then found.
        known = self._execute(
            "SELECT request, message_id FROM idempotency_keys"
            f" WHERE {self._one_interview} AND idempotency_key = :idempotency_key",
            {**interview._asdict(), "idempotency_key": idempotency_key},
        )
        rows = self._of(interview)
        return list(map(Message._make, rows.fetchall())), known.fetchone()

    def _of(self, interview: InterviewKey) -> Rows:
        return self._execute(
            # An old file may hold a number for a time.
            "SELECT id, role, content, CAST(date_created AS TEXT), is_finished FROM messages"
            f" WHERE {self._one_interview} AND role <> 'aside' ORDER BY id",
            interview._asdict(),
        )

    def newest(self, interview: InterviewKey) -> Message | None:
        """Return the interview's last message."""
        row = self._execute(
            "SELECT id, role, content, CAST(date_created AS TEXT), is_finished FROM messages"
            f" WHERE {self._one_interview} AND role <> 'aside' ORDER BY id DESC LIMIT 1",
            interview._asdict(),
        ).fetchone()
        return Message._make(row) if row else None

    def add(
        self, interview: InterviewKey, role: Role, content: str, *, is_finished: bool = False
    ) -> Message:
        """Store a message at the interview's end, and return it with its id."""
        now = stored_now()
        row = self._insert(
            interview, role, content, now, int(is_finished), " RETURNING id"
        ).fetchone()
        return Message(row[0] if row else 0, role, content, now, int(is_finished))

    def append(
        self, interview: InterviewKey, role: Role, content: str, *, is_finished: bool = False
    ) -> None:
        """Store a message at the interview's end, without waiting for its id."""
        self._insert(interview, role, content, stored_now(), int(is_finished))

    def _insert(
        self,
        interview: InterviewKey,
        role: str,
        content: str,
        date_created: str,
        is_finished: int,
        returning: str = "",
    ) -> Rows:
        return self._execute(
            "INSERT INTO messages"
            " (role, content, date_created, is_finished, access_key, name, email)"
            " VALUES (:role, :content, :date_created, :is_finished,"
            f" :access_key, :name, :email){returning}",
            {
                "role": role,
                "content": content,
                "date_created": date_created,
                "is_finished": is_finished,
                **interview._asdict(),
            },
        )

    def fill(self, message_id: int, content: str, *, is_finished: bool = False) -> None:
        """Replace the content of a message, such as an empty one that stands for a missing one."""
        self._execute(
            "UPDATE messages SET content = :content, date_created = :date_created,"
            " is_finished = :is_finished WHERE id = :id",
            {
                "content": content,
                "date_created": stored_now(),
                "is_finished": int(is_finished),
                "id": message_id,
            },
        )

    def set_aside(self, interview: InterviewKey, message: Message) -> None:
        """Store a copy of the message outside the interview, before it is overwritten in it."""
        self._insert(interview, "aside", message.content, message.date_created, 0)

    def remember_key(
        self, interview: InterviewKey, idempotency_key: str, request: str, message_id: int
    ) -> None:
        """Store the request that came with the key, and the message that it stored."""
        self._execute(
            "INSERT INTO idempotency_keys"
            " (access_key, name, email, idempotency_key, request, message_id)"
            " VALUES (:access_key, :name, :email, :idempotency_key, :request, :message_id)",
            {
                **interview._asdict(),
                "idempotency_key": idempotency_key,
                "request": request,
                "message_id": message_id,
            },
        )

    def applicants(self, access_key: str) -> list[Applicant]:
        """Return everyone with an interview under the access key, by their first messages."""
        rows = self._execute(
            "SELECT name, email, (name, email) IN ("
            f"SELECT name, email FROM messages WHERE {self._one_access_key} AND is_finished = 1)"
            f" FROM messages WHERE {self._one_access_key} AND is_first = 1 ORDER BY id",
            {"access_key": access_key},
        )
        return [
            Applicant(name, email, bool(is_finished))
            for name, email, is_finished in rows.fetchall()
        ]

    def finished(self, access_key: str) -> list[Applicant]:
        """Return everyone whose interview is finished, in the order in which they finished."""
        rows = self._execute(
            f"SELECT name, email FROM messages WHERE {self._one_access_key} AND is_finished = 1"
            " GROUP BY name, email ORDER BY MIN(id)",
            {"access_key": access_key},
        )
        return [Applicant(name, email, is_finished=True) for name, email in rows.fetchall()]


class PositionTerms:
    """The terms that positions lay down for interviews, as they are now."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def of(self, access_key: str) -> Terms | None:
        """Return the terms of the access key's position; None if it has no position."""
        row = self._execute(
            "SELECT title, prompt, is_open, time_limit, is_scored_automatically,"
            " is_consent_required, notice_version FROM positions WHERE position = :position",
            {"position": position_digest(access_key)},
        ).fetchone()
        if row is None:
            return None
        (
            title,
            prompt,
            is_open,
            time_limit,
            is_scored_automatically,
            is_consent_required,
            version,
        ) = row
        return Terms(
            title,
            prompt,
            bool(is_open),
            time_limit,
            bool(is_scored_automatically),
            bool(is_consent_required),
            version,
        )

    def correction_hours(self, access_key: str) -> int | None:
        """Return for how many hours after the end notes may be put to messages.

        0 for never, None if the access key has no position.
        """
        row = self._execute(
            "SELECT correction_hours FROM positions WHERE position = :position",
            {"position": position_digest(access_key)},
        ).fetchone()
        return int(row[0]) if row else None

    def time_limit(self, access_key: str) -> Callable[[], int | None]:
        """Ask for the time limit of the access key's position, in seconds; None if there is none.

        Return what waits for the answer: asked for before other rows of a transaction are fetched,
        it comes with them.
        """
        rows = self._execute(
            "SELECT time_limit FROM positions WHERE position = :position",
            {"position": position_digest(access_key)},
        )

        def wait() -> int | None:
            row = rows.fetchone()
            return row[0] if row else None

        return wait


class TokenRevocations:
    """Counts of the revocations of interviews' tokens; an interview is named by its digest."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def count(self, interview: str) -> int:
        """Return the number of times that the interview's tokens were revoked."""
        row = self._execute(
            "SELECT revocations FROM token_revocations WHERE interview = :interview",
            {"interview": interview},
        ).fetchone()
        return row[0] if row else 0

    def count_and_erasure(self, interview: str) -> tuple[int, int]:
        """Return the same, and the number of the interview's newest erasure, 0 for none."""
        row = self._execute(
            "SELECT COALESCE((SELECT revocations FROM token_revocations"
            " WHERE interview = :interview), 0),"
            " COALESCE((SELECT MAX(number) FROM erasures WHERE interview = :interview), 0)",
            {"interview": interview},
        ).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def add(self, interview: str) -> None:
        """Count one more revocation of the interview's tokens."""
        self._execute(
            "INSERT INTO token_revocations (interview, revocations) VALUES (:interview, 1)"
            " ON CONFLICT (interview)"
            " DO UPDATE SET revocations = token_revocations.revocations + 1",
            {"interview": interview},
        )
