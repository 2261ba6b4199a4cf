"""Legal holds: what must be kept for a court or an authority, and is not erased until then."""

from db import AuditTrail, Database, InterviewKey, PersonalData
from positions.queries import lock_of
from records.errors import HeldAlready, NotHeld, NothingToHold, UnknownApplicant
from records.hold_queries import LegalHold, LegalHolds


def hold(
    database: Database, access_key: str, interview: InterviewKey | None, reason: str, reviewer: str
) -> LegalHold:
    """Set a hold, and return it. What it holds is not erased from then on.

    Args:
        database: Where it is stored.
        access_key: The position's.
        interview: What is held; None for the whole position.
        reason: Why.
        reviewer: Who says so.

    Raises:
        HeldAlready: There is a hold on exactly this.
        UnknownApplicant: Nothing is stored about the applicant.
        NothingToHold: There is nothing under the access key.

    """
    with database.transaction(interview or lock_of(access_key)) as session:
        # An erasure under way has ended before it is known whether there is anything to hold.
        session.keep_out("legal_holds")
        holds = LegalHolds(session)
        if holds.current(access_key, interview) is not None:
            raise HeldAlready
        if interview is None and not holds.knows(access_key):
            raise NothingToHold
        if interview is not None and not PersonalData(session).count(interview):
            raise UnknownApplicant
        holds.set(access_key, interview, reason, reviewer)
        AuditTrail(session).add(access_key, "hold.set", interview)
        made = holds.current(access_key, interview)
    assert made is not None  # noqa: S101  # it was stored a moment ago
    return made


def end_hold(
    database: Database, access_key: str, interview: InterviewKey | None, reason: str, reviewer: str
) -> None:
    """End the hold on exactly this; one on the position and one on an interview are two.

    Raises:
        NotHeld: There is none.

    """
    with database.transaction(interview or lock_of(access_key)) as session:
        if not LegalHolds(session).end(access_key, interview, reason, reviewer):
            raise NotHeld
        AuditTrail(session).add(access_key, "hold.ended", interview)
