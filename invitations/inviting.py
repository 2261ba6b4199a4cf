"""Making, opening and revoking invitations.

A link is the service's URL and a secret in the fragment, which browsers keep to themselves: no log,
no proxy and no `Referer` has it. The database has its SHA-256, which is enough for a secret that is
too random to be guessed.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from db import AuditTrail, Database, InterviewKey, PositionTerms, Session, TokenRevocations
from invitations.errors import (
    InvitationExpired,
    InvitationReplaced,
    InvitationRevoked,
    NotInvited,
    UnknownInvitation,
)
from invitations.queries import Invitation, Invitations
from positions.errors import NoPosition
from positions.queries import lock_of

# Random bytes in a secret.
SECRET_BYTES = 32


def invite(
    database: Database,
    access_key: str,
    applicants: Iterable[tuple[InterviewKey, Mapping[str, str]]],
    lifetime: int,
    *,
    again: bool = False,
) -> tuple[list[str], str]:
    """Invite applicants to a position, all of them or none.

    An applicant's earlier invitation ends; an interview under way goes on.

    Args:
        database: Where they are stored.
        access_key: The position's, and that of each interview.
        applicants: Each applicant's interview, and the client's own strings for it.
        lifetime: Seconds until the invitations expire.
        again: Whether each must have been invited before: an invitation that is renewed may have
            been erased since it was read.

    Returns:
        The secrets in the order of the applicants, and the time of expiry.

    Raises:
        NoPosition: There is no such position.
        NotInvited: Somebody was not invited before.

    """
    now = datetime.now(UTC)
    expires_at = as_text(now + timedelta(seconds=lifetime))
    made = []
    # Under the position's lock, so that of two invitations of one applicant the later one counts.
    with database.transaction(lock_of(access_key)) as session:
        invitations = Invitations(session)
        if PositionTerms(session).of(access_key) is None:
            raise NoPosition
        for interview, metadata in applicants:
            secret = secrets.token_urlsafe(SECRET_BYTES)
            if again and not invitations.replace(interview):
                raise NotInvited
            invitations.add(
                _hash_of(secret), Invitation(interview, metadata, as_text(now), expires_at, None)
            )
            AuditTrail(session).add(access_key, "invitation.made", interview, expires_at=expires_at)
            made.append(secret)
    return made, expires_at


def find(session: Session, secret: str) -> Invitation:
    """Return the invitation with the secret, if it can be opened.

    Raises:
        UnknownInvitation: No invitation has the secret.
        InvitationReplaced: There is a newer one.
        InvitationRevoked: A recruiter has taken it back.
        InvitationExpired: Its time is over.

    """
    invitation = Invitations(session).by_secret(_hash_of(secret))
    if invitation is None:
        raise UnknownInvitation
    if invitation.ended == "replaced":
        raise InvitationReplaced
    if invitation.ended == "revoked":
        raise InvitationRevoked
    if invitation.expires_at <= as_text(datetime.now(UTC)):
        raise InvitationExpired
    return invitation


def revoke(database: Database, interview: InterviewKey) -> None:
    """End the applicant's invitation, and every token of the interview.

    Raises:
        NotInvited: There is none.

    """
    with database.transaction(lock_of(interview.access_key)) as session:
        if not Invitations(session).revoke(interview):
            raise NotInvited
        TokenRevocations(session).add(interview.digest())
        AuditTrail(session).add(interview.access_key, "invitation.revoked", interview)


def as_text(moment: datetime) -> str:
    """Return a time as the API writes it: `YYYY-MM-DDTHH:MM:SSZ`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _hash_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
