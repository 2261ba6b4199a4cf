"""The queries of invitations. A secret is known by its SHA-256 alone."""

import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

from db import InterviewKey, Session, position_digest

Ended = Literal["replaced", "revoked"]


class Invitation(NamedTuple):
    """An applicant's link; times are UTC, `YYYY-MM-DDTHH:MM:SSZ`."""

    interview: InterviewKey
    metadata: Mapping[str, str]
    created_at: str
    expires_at: str
    ended: Ended | None


class Invitations:
    """The invitations, of which each interview has one at most that has not been replaced."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def add(self, secret_sha256: str, invitation: Invitation) -> None:
        """Store the invitation, and end those that its interview has."""
        self._execute(
            "UPDATE invitations SET ended = 'replaced' WHERE interview = :interview",
            {"interview": invitation.interview.digest()},
        )
        self._execute(
            "INSERT INTO invitations (secret_sha256, interview, position, access_key, name, email,"
            " metadata, created_at, expires_at)"
            " VALUES (:secret_sha256, :interview, :position, :access_key, :name, :email,"
            " :metadata, :created_at, :expires_at)",
            {
                **invitation.interview._asdict(),
                "secret_sha256": secret_sha256,
                "interview": invitation.interview.digest(),
                "position": position_digest(invitation.interview.access_key),
                "metadata": json.dumps(invitation.metadata, ensure_ascii=False),
                "created_at": invitation.created_at,
                "expires_at": invitation.expires_at,
            },
        )

    def replace(self, interview: InterviewKey) -> bool:
        """End those that the interview has, for a new one, and return whether there are any."""
        rows = self._execute(
            "UPDATE invitations SET ended = 'replaced' WHERE interview = :interview"
            " RETURNING number",
            {"interview": interview.digest()},
        )
        return bool(rows.fetchall())

    def by_secret(self, secret_sha256: str) -> Invitation | None:
        """Return the invitation that has the secret."""
        row = self._execute(
            "SELECT access_key, name, email, metadata, created_at, expires_at, ended"
            " FROM invitations WHERE secret_sha256 = :secret_sha256",
            {"secret_sha256": secret_sha256},
        ).fetchone()
        if row is None:
            return None
        access_key, name, email, metadata, *rest = row
        return Invitation(InterviewKey(access_key, name, email), json.loads(metadata), *rest)

    def revoke(self, interview: InterviewKey) -> bool:
        """End the interview's newest invitation, and return whether there is one."""
        rows = self._execute(
            "UPDATE invitations SET ended = 'revoked' WHERE interview = :interview"
            " AND (ended IS NULL OR ended = 'revoked') RETURNING number",
            {"interview": interview.digest()},
        )
        return bool(rows.fetchall())
