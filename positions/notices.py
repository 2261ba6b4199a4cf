"""The versions of positions' notices: what applicants are told before they start, word for word.

Each position has one, its own or the default. The text is stored when the position is put, so that
what somebody has accepted can be read ever after, also once settings or the default have changed.
"""

from typing import NamedTuple

from db import Session, position_digest, stored_now


class Notice(NamedTuple):
    """A version of a position's notice."""

    version: int | None
    """None only for a text that could not be stored, and so cannot be accepted."""
    language: str
    """A code such as `de`, or what the recruiter has called it."""
    text: str


class Notices:
    """Every version of positions' notices; none ever changes."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def version(self, access_key: str, number: int) -> Notice | None:
        """Return a version of the position's notice; None if there is no such version."""
        row = self._execute(
            "SELECT version, language, text FROM notices"
            " WHERE position = :position AND version = :version",
            {"position": position_digest(access_key), "version": number},
        ).fetchone()
        return Notice._make(row) if row else None

    def newest(self, access_key: str) -> Notice | None:
        """Return the version of the position's notice that was stored last."""
        row = self._execute(
            "SELECT version, language, text FROM notices WHERE position = :position"
            " ORDER BY version DESC LIMIT 1",
            {"position": position_digest(access_key)},
        ).fetchone()
        return Notice._make(row) if row else None

    def add(self, access_key: str, version: int, language: str, text: str) -> None:
        """Store a version."""
        self._execute(
            "INSERT INTO notices (position, version, language, text, created_at)"
            " VALUES (:position, :version, :language, :text, :now)",
            {
                "position": position_digest(access_key),
                "version": version,
                "language": language,
                "text": text,
                "now": stored_now(),
            },
        )

    def use(self, access_key: str, version: int) -> None:
        """Let the position have this version, and leave the time at which it was put as it is."""
        self._execute(
            "UPDATE positions SET notice_version = :version WHERE position = :position",
            {"position": position_digest(access_key), "version": version},
        )


def store_notice(session: Session, access_key: str, language: str, text: str) -> int:
    """Return the number of the newest version, which is this notice from now on.

    It is a new version, unless the newest is the same. To be called with the position's lock.
    """
    notices = Notices(session)
    newest = notices.newest(access_key)
    if newest is not None and newest[1:] == (language, text):
        return newest.version or 0
    version = (newest.version or 0) + 1 if newest else 1
    notices.add(access_key, version, language, text)
    return version
