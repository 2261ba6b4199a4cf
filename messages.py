"""What is stored, and every query: written once, for SQLite and PostgreSQL alike.

Contains no interview logic: `interview.py` decides what is stored when. Rows leave as plain values.
What each of the two needs beside the queries is in `db.py` and `postgres.py`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

Role = Literal["system", "user"]


class InterviewKey(NamedTuple):
    """Which interview: one applicant under one access key."""

    access_key: str
    name: str
    email: str

    def digest(self) -> str:
        """Return what stands for the interview where nobody's name must be, in 64 characters."""
        # None of the three can hold NUL, so that no two interviews look the same.
        return sha256("\0".join(self).encode()).hexdigest()


class Message(NamedTuple):
    """A stored message.

    The oldest `system` message of an interview is the prompt, the later ones are the
    interviewer's; `user` is the applicant. `date_created` is UTC, `YYYY-MM-DD HH:MM:SS.ffffff`.
    """

    id: int
    role: Role
    content: str
    date_created: str
    is_finished: int
    """1 for what the interviewer closed the interview with, 0 for all else."""


class Applicant(NamedTuple):
    """Who was interviewed under an access key."""

    name: str
    email: str
    is_finished: bool


class Rows(Protocol):
    """What a query brings: a cursor, of which no more than this is used."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""


Execute = Callable[[str, Mapping[str, object]], Rows]


class Messages:
    """The queries.

    Their parameters are written as SQLite knows them, `:name`. No result is waited for before it is
    needed: over a network each wait counts.
    """

    # How one interview's rows, and one access key's, are found by an index.
    one_interview: ClassVar = "access_key = :access_key AND name = :name AND email = :email"
    one_access_key: ClassVar = "access_key = :access_key"

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def of(self, interview: InterviewKey) -> list[Message]:
        """Return every message of the interview, oldest first."""
        return list(map(Message._make, self._of(interview).fetchall()))

    def of_with_key(
        self, interview: InterviewKey, idempotency_key: str
    ) -> tuple[list[Message], tuple[str, int] | None]:
        """Return every message of the interview, oldest first, and what came with the key.

        That is the request, and the id of the message it brought; None if the key is new.
        """
        # In this order: whoever stores a key stores its message with it, or before.
        known = self._execute(
            "SELECT request, message_id FROM idempotency_keys"
            f" WHERE {self.one_interview} AND idempotency_key = :idempotency_key",
            {**interview._asdict(), "idempotency_key": idempotency_key},
        )
        rows = self._of(interview)
        return list(map(Message._make, rows.fetchall())), known.fetchone()

    def _of(self, interview: InterviewKey) -> Rows:
        return self._execute(
            # An old file may hold a number for a time.
            "SELECT id, role, content, CAST(date_created AS TEXT), is_finished FROM messages"
            f" WHERE {self.one_interview} AND role <> 'aside' ORDER BY id",
            interview._asdict(),
        )

    def newest(self, interview: InterviewKey) -> Message | None:
        """Return the interview's last message."""
        row = self._execute(
            "SELECT id, role, content, CAST(date_created AS TEXT), is_finished FROM messages"
            f" WHERE {self.one_interview} AND role <> 'aside' ORDER BY id DESC LIMIT 1",
            interview._asdict(),
        ).fetchone()
        return Message._make(row) if row else None

    def add(
        self, interview: InterviewKey, role: Role, content: str, *, is_finished: bool = False
    ) -> Message:
        """Store a message at the interview's end."""
        now = _now()
        id_ = self._next_id()
        rows = self._insert(interview, id_, role, content, now, int(is_finished))
        if id_ is None:
            (id_,) = rows.fetchone() or (0,)
        return Message(id_, role, content, now, int(is_finished))

    def _next_id(self) -> int | None:
        """Return the id that the next message gets, or None if storing it tells."""
        return None

    def _insert(
        self,
        interview: InterviewKey,
        id_: int | None,
        role: str,
        content: str,
        date_created: str,
        is_finished: int,
    ) -> Rows:
        return self._execute(
            "INSERT INTO messages"
            " (id, role, content, date_created, is_finished, access_key, name, email)"
            " VALUES (:id, :role, :content, :date_created, :is_finished,"
            " :access_key, :name, :email) RETURNING id",
            {
                "id": id_,
                "role": role,
                "content": content,
                "date_created": date_created,
                "is_finished": is_finished,
                **interview._asdict(),
            },
        )

    def fill(self, message_id: int, content: str, *, is_finished: bool = False) -> None:
        """Give a message that stands for one that was never sent its words."""
        self._execute(
            "UPDATE messages SET content = :content, date_created = :date_created,"
            " is_finished = :is_finished WHERE id = :id",
            {
                "content": content,
                "date_created": _now(),
                "is_finished": int(is_finished),
                "id": message_id,
            },
        )

    def set_aside(self, interview: InterviewKey, message: Message) -> None:
        """Keep the message's words outside the interview, before they are overwritten in it."""
        self._insert(interview, self._next_id(), "aside", message.content, message.date_created, 0)

    def remember_key(
        self, interview: InterviewKey, idempotency_key: str, request: str, message_id: int
    ) -> None:
        """Store which request came with the key, and which message it brought."""
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

    def revocations(self, interview: str) -> int:
        """Return how often the interview's tokens were revoked; it is named by its digest."""
        row = self._execute(
            "SELECT revocations FROM token_revocations WHERE interview = :interview",
            {"interview": interview},
        ).fetchone()
        return row[0] if row else 0

    def revoke(self, interview: str) -> None:
        """Count one more revocation of the interview's tokens; it is named by its digest."""
        self._execute(
            "INSERT INTO token_revocations (interview, revocations) VALUES (:interview, 1)"
            " ON CONFLICT (interview)"
            " DO UPDATE SET revocations = token_revocations.revocations + 1",
            {"interview": interview},
        )

    def applicants(self, access_key: str) -> list[Applicant]:
        """Return everyone with an interview under the access key, in the order of their first."""
        rows = self._execute(
            "SELECT name, email, (name, email) IN ("
            f"SELECT name, email FROM messages WHERE {self.one_access_key} AND is_finished = 1)"
            f" FROM messages WHERE {self.one_access_key} AND is_first = 1 ORDER BY id",
            {"access_key": access_key},
        )
        return [
            Applicant(name, email, bool(is_finished))
            for name, email, is_finished in rows.fetchall()
        ]

    def finished(self, access_key: str) -> list[Applicant]:
        """Return everyone whose interview under the access key is finished, in that order."""
        rows = self._execute(
            f"SELECT name, email FROM messages WHERE {self.one_access_key} AND is_finished = 1"
            " GROUP BY name, email ORDER BY MIN(id)",
            {"access_key": access_key},
        )
        return [Applicant(name, email, is_finished=True) for name, email in rows.fetchall()]


class Database(Protocol):
    """Where the messages are, for all threads of a process: SQLite or PostgreSQL.

    Connections are opened when they are needed and used again. Before the first use none is open,
    so that a server may fork. What fails is raised as `DatabaseUnavailable`.
    """

    def reading(self) -> AbstractContextManager[Messages]:
        """Give the queries; each reads what is stored at that moment."""

    def transaction(
        self, interview: InterviewKey | None = None, *, synced: bool = True
    ) -> AbstractContextManager[Messages]:
        """Give the queries in a transaction: once the block ends, all it stored is on the disk.

        If it raises, nothing is stored. Nothing slow belongs inside: others wait meanwhile.

        Args:
            interview: Which one messages are added to. Until the transaction ends it is nobody
                else's, and what is read of it is what is stored.
            synced: Whether what is stored survives a power cut. If not, it survives whatever
                becomes of this process, and the next synced transaction that stores anything makes
                it survive the rest.

        """

    def sync(self) -> None:
        """Let all that was stored without being synced survive a power cut.

        Raises:
            DatabaseUnavailable: It cannot be read, or not written.

        """

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
