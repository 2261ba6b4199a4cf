"""The endpoints of invitations: recruiters make and revoke them, applicants open them."""

import time
from datetime import UTC, datetime

from flask import Blueprint, request

from access.guard import everybody, key_needed
from db import InterviewKey
from invitations.errors import InvitationClosed, InvitationsOff, UnknownInvitation
from invitations.inviting import find, invite, revoke
from positions.queries import Positions, StoredPosition
from web.bodies import Json
from web.fields import MAX_TOKEN_LIFETIME, interview_of_body, interview_to_invite, secret_of_body
from web.noted_reads import note_read
from web.service import service

invitations = Blueprint("invitations", __name__)

# Minutes that a question takes, and one that follows up on an answer; a guess for applicants, who
# are told five minutes more or less.
MINUTES_A_QUESTION = 2.5
MINUTES_A_FOLLOW_UP = 1.5


@invitations.post("/invitations")
@key_needed
def make_invitation() -> Json:
    """Invite an applicant, and answer with the link."""
    refuse_without_secret_key()
    interview, lifetime, metadata = interview_to_invite()
    secrets, expires_at = invite(
        service().database, interview.access_key, [(interview, metadata)], lifetime
    )
    return {"link": link_of(secrets[0]), "expires_at": expires_at}


@invitations.post("/revoke_invitation")
@key_needed
def revoke_invitation() -> Json:
    """Take an applicant's invitation back, with all tokens of the interview."""
    revoke(service().database, interview_of_body())
    return {"status": "success"}


@invitations.post("/open_invitation")
@everybody
def open_invitation() -> Json:
    """Exchange a link's secret for the applicant's token and what the applicant may know.

    It changes nothing, and may be done again.
    """
    refuse_without_secret_key()
    secret = secret_of_body()
    try:
        with service().database.reading() as session:
            invitation = find(session, secret)
            position = Positions(session).get(invitation.interview.access_key)
    except UnknownInvitation:
        service().limits.count_wrong_invitation(request.remote_addr or "")
        raise
    if position is None:
        raise UnknownInvitation
    interview = invitation.interview
    status = service().interviews.status(interview)
    if status == "uninitiated" and not position.is_open:
        raise InvitationClosed
    note_read(
        "invitation.opened",
        interview,
        is_repeated=True,  # whoever has the link may open it as often as they like
        actor="applicant" if service().config.api_keys else None,
    )
    token = _token(interview, invitation.expires_at)
    if token is not None:
        # Once more: of an invitation that has ended since, the token might be newer than the end.
        with service().database.reading() as session:
            find(session, secret)
    plan = position.plan or {}
    return {
        "token": token,
        "accessKey": interview.access_key,
        "name": interview.name,
        "email": interview.email,
        "status": status,
        "title": position.title,
        "language": plan.get("language"),
        "questions": len(plan["questions"]) if plan else None,
        "timeLimit": position.time_limit,
        "expectedMinutes": expected_minutes(position),
        "expires_at": invitation.expires_at,
        "contact": service().config.contact,
    }


def refuse_without_secret_key() -> None:
    """Refuse what would need an applicant's token, where there are keys but no tokens."""
    config = service().config
    if config.api_keys and not config.secret_key:
        raise InvitationsOff


def link_of(secret: str) -> str:
    """Return the URL that opens the invitation."""
    return f"{service().config.public_url or request.host_url.rstrip('/')}/interview#{secret}"


def expected_minutes(position: StoredPosition) -> int | None:
    """Return about how long an interview takes; None if nothing says so."""
    if position.time_limit is not None:
        return max(1, round(position.time_limit / 60))
    if position.plan is None:
        return None
    questions = position.plan["questions"]
    follow_ups = sum(question["followUps"] for question in questions)
    minutes = len(questions) * MINUTES_A_QUESTION + follow_ups * MINUTES_A_FOLLOW_UP
    return max(5, 5 * round(float(minutes) / 5))


def _token(interview: InterviewKey, expires_at: str) -> str | None:
    """Return a token that lasts as long as the invitation; None where everybody may do all."""
    if not service().config.api_keys:
        return None
    expires = datetime.fromisoformat(expires_at).astimezone(UTC).timestamp()
    lifetime = max(1, min(int(expires - time.time()), MAX_TOKEN_LIFETIME))
    token, _ = service().tokens.issue(interview, lifetime)
    return token
