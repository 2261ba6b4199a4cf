"""The queries of who is to be erased by the time of what was last heard of them."""

from datetime import UTC, datetime
from typing import NamedTuple

from db import InterviewKey, Session, position_digest


class LastHeard(NamedTuple):
    """A person, and from when on the time runs for which they are kept."""

    interview: InterviewKey
    at: datetime
    has_interview: bool
    """False for somebody who never started: then it is the invitation's expiry."""


class LastHeardOf:
    """The people under an access key, by when they were last heard of.

    That is the time of the last message. Of those who have sent none it is the time until which
    they were invited, and of others still the time at which they accepted a notice, or asked for
    another way. A time of an older file that is no time erases nobody.
    """

    def __init__(self, session: Session, access_key: str) -> None:
        self._execute = session.execute
        self._one_access_key = session.one_access_key
        self._one_interview = session.one_interview
        self._access_key = access_key
        # The names of a row in the place of parameters.
        self._of_row = session.one_interview
        for name in ("access_key", "name", "email"):
            self._of_row = self._of_row.replace(f":{name}", f"person.{name}")

    def before(self, moment: datetime) -> list[LastHeard]:
        """Return everybody who was last heard of before a moment, the longest ago first."""
        # Whoever was last heard of before it began before it.
        found = self._found(
            f"SELECT access_key, name, email FROM messages WHERE {self._one_access_key}"
            " AND is_first = 1 AND CAST(date_created AS TEXT) < :moment",
            "SELECT access_key, name, email, expires_at FROM invitations"
            " WHERE position = :position",
            "SELECT access_key, name, email, accepted_at AS at FROM consents"
            " WHERE position = :position UNION ALL SELECT access_key, name, email, asked_at"
            " FROM other_ways WHERE position = :position",
            {
                "access_key": self._access_key,
                "position": position_digest(self._access_key),
                "moment": moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            },
        )
        return sorted((one for one in found if one.at < moment), key=lambda one: one.at)

    def one(self, interview: InterviewKey) -> LastHeard | None:
        """Return when this one was last heard of; None if that is not known."""
        found = self._found(
            f"SELECT access_key, name, email FROM messages WHERE {self._one_interview}"
            " AND is_first = 1",
            "SELECT access_key, name, email, expires_at FROM invitations"
            " WHERE interview = :interview",
            "SELECT access_key, name, email, accepted_at AS at FROM consents"
            " WHERE interview = :interview UNION ALL SELECT access_key, name, email, asked_at"
            " FROM other_ways WHERE interview = :interview",
            {**interview._asdict(), "interview": interview.digest()},
        )
        return found[0] if found else None

    def _found(
        self, started: str, invited: str, others: str, values: dict[str, object]
    ) -> list[LastHeard]:
        rows = self._execute(
            f"SELECT access_key, name, email, (SELECT MAX(CAST(date_created AS TEXT)) FROM messages"
            f" WHERE {self._of_row} AND role <> 'aside'), 1 FROM ({started}) AS person"
            " UNION ALL SELECT access_key, name, email, MAX(expires_at), 0"
            f" FROM ({invited}) AS person WHERE NOT EXISTS"
            f" (SELECT 1 FROM messages WHERE {self._of_row}) GROUP BY access_key, name, email"
            " UNION ALL SELECT access_key, name, email, MAX(at), 0"
            f" FROM ({others}) AS person WHERE NOT EXISTS"
            f" (SELECT 1 FROM messages WHERE {self._of_row}) AND NOT EXISTS (SELECT 1 FROM"
            " invitations WHERE invitations.position = :position"
            " AND invitations.name = person.name AND invitations.email = person.email)"
            " GROUP BY access_key, name, email",
            {"position": position_digest(self._access_key), **values},
        )
        return [
            LastHeard(InterviewKey(*names), at, bool(has_interview))
            for *names, text, has_interview in rows.fetchall()
            if (at := _time(text)) is not None
        ]


def _time(text: str | None) -> datetime | None:
    """Return a stored time, written in either way; None if it is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
