"""The queries of the audit trail's chains; events are added by `AuditTrail` of `db.py`."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from db import InterviewKey, Session, position_digest

# What the first event of a chain has in the place of the hash of the one before it.
NO_HASH = "0" * 64

COLUMNS = "number, position, at, actor, action, subject, detail, sequence, hash"


class Event(NamedTuple):
    """What was done; `sequence` and `hash` are None until it is a link of its position's chain."""

    number: int
    """Drawn when it was added; another one once the event was imported."""
    position: str
    at: str
    """UTC, `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    actor: str
    action: str
    subject: str
    """The digest of an interview; empty for what concerns the whole position."""
    detail: str
    """An object of JSON, or empty."""
    sequence: int | None
    """Its place in the chain: 1, 2, 3, ..."""
    hash: str | None


class Head(NamedTuple):
    """The last link of a chain."""

    sequence: int
    hash: str


class AuditChains:
    """The chains of events, each named by its position's digest."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_access_key = session.one_access_key

    def has_loose(self, position: str | None) -> bool:
        """Return whether there are events that are no links yet, of a position or of any."""
        return bool(self.loose(position, 1))

    def loose(self, position: str | None, limit: int) -> list[Event]:
        """Return events that are no links yet, by their positions and numbers."""
        return self._events(
            f"WHERE sequence IS NULL {_of(position)} ORDER BY position, number LIMIT :limit",
            {"position": position, "limit": limit},
        )

    def link(self, event: Event) -> None:
        """Store the event's place in the chain, and its hash."""
        self._execute(
            "UPDATE audit_events SET sequence = :sequence, hash = :hash WHERE number = :number",
            {"sequence": event.sequence, "hash": event.hash, "number": event.number},
        )

    def head_to_move(self, position: str) -> Head:
        """Return the head, made if there is none, and keep all others from moving it."""
        row = self._execute(
            "INSERT INTO audit_heads (position, sequence, hash) VALUES (:position, 0, :hash)"
            " ON CONFLICT (position) DO UPDATE SET sequence = audit_heads.sequence"
            " RETURNING CAST(sequence AS INTEGER), hash",
            {"position": position, "hash": NO_HASH},
        ).fetchone()
        return Head(*row) if row else Head(0, NO_HASH)

    def move_head(self, position: str, head: Head) -> None:
        """Store what the last link is from now on."""
        self._execute(
            "UPDATE audit_heads SET sequence = :sequence, hash = :hash WHERE position = :position",
            {"position": position, **head._asdict()},
        )

    def head(self, position: str) -> Head | None:
        """Return the head; None if nothing was linked yet."""
        row = self._execute(
            "SELECT CAST(sequence AS INTEGER), hash FROM audit_heads WHERE position = :position",
            {"position": position},
        ).fetchone()
        return Head(*row) if row else None

    def last(self, position: str) -> int:
        """Return the highest place that an event has, whatever the head says."""
        row = self._execute(
            "SELECT CAST(MAX(sequence) AS INTEGER) FROM audit_events WHERE position = :position",
            {"position": position},
        ).fetchone()
        return (row and row[0]) or 0

    def page(self, position: str, after: int, limit: int) -> list[Event]:
        """Return links of the chain, in order, from behind a place on."""
        return self._events(
            "WHERE position = :position AND sequence > :after ORDER BY sequence LIMIT :limit",
            {"position": position, "after": after, "limit": limit},
        )

    def newest(self, position: str, before: int | None, limit: int) -> list[Event]:
        """Return links of the chain, the last one first, from before a place on."""
        condition = "" if before is None else "AND sequence < :before"
        return self._events(
            f"WHERE position = :position AND sequence IS NOT NULL {condition}"
            " ORDER BY sequence DESC LIMIT :limit",
            {"position": position, "before": before, "limit": limit},
        )

    def of_interview(self, interview: InterviewKey, limit: int) -> list[Event]:
        """Return the events of an interview, the newest first, also those that are no links yet."""
        return self._events(
            "WHERE subject = :subject ORDER BY at DESC, number DESC LIMIT :limit",
            {"subject": interview.digest(), "limit": limit},
        )

    def from_place(
        self, position: str, place: tuple[object, int] | None, limit: int
    ) -> list[Event]:
        """Return links of the chain as they lie in the table, behind the last that was looked at.

        Args:
            position: Whose chain.
            place: The sequence and the number of that event; None for the first.
            limit: The most to return.

        """
        sequence, number = place or (0, 0)
        behind = "" if place is None else "AND (sequence, number) > (:sequence, :number)"
        return self._events(
            f"WHERE position = :position AND sequence IS NOT NULL {behind}"
            " ORDER BY sequence, number LIMIT :limit",
            {"position": position, "sequence": sequence, "number": number, "limit": limit},
        )

    def position_after(self, position: str) -> str | None:
        """Return the position that comes next of those with events or a head; None after all."""
        row = self._execute(
            "SELECT MIN(position) FROM (SELECT MIN(position) AS position FROM audit_events"
            " WHERE position > :position UNION ALL SELECT MIN(position) FROM audit_heads"
            " WHERE position > :position) AS following",
            {"position": position},
        ).fetchone()
        return row[0] if row else None

    def access_key(self, position: str) -> str | None:
        """Return the access key of a position; None if it has only interviews, or nothing."""
        row = self._execute(
            "SELECT access_key FROM positions WHERE position = :position", {"position": position}
        ).fetchone()
        return row[0] if row else None

    def interviews(self, access_key: str, digests: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Return number and name of those interviews of the access key that still exist."""
        # A digest cannot be looked up, as messages have none.
        wanted = set(digests)
        rows = self._execute(
            f"SELECT id, name, email FROM messages WHERE {self._one_access_key} AND is_first = 1",
            {"access_key": access_key},
        )
        found = {}
        for number, name, email in rows.fetchall():
            digest = InterviewKey(access_key, name, email).digest()
            if digest in wanted:
                found[digest] = (number, name)
        return found

    def invited(self, access_key: str, digests: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Return number and name of those interviews' newest invitations."""
        found = {}
        for digest in set(digests):
            row = self._execute(
                "SELECT number, name FROM invitations WHERE interview = :interview"
                " AND position = :position ORDER BY number DESC LIMIT 1",
                {"interview": digest, "position": position_digest(access_key)},
            ).fetchone()
            if row:
                found[digest] = (row[0], row[1])
        return found

    def _events(self, condition: str, values: dict[str, Any]) -> list[Event]:
        rows = self._execute(f"SELECT {COLUMNS} FROM audit_events {condition}", values)
        return list(map(Event._make, rows.fetchall()))


def _of(position: str | None) -> str:
    return "" if position is None else "AND position = :position"
