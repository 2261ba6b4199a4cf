"""What the board shows of an applicant's rights: consents, and the request for another way."""

from typing import NamedTuple

from db import Consent, Consents, InterviewKey, Session
from positions.notices import Notice, Notices
from records.other_ways import OtherWays


class Rights(NamedTuple):
    """What an applicant has accepted and asked for."""

    consents: list[tuple[Consent, Notice | None]]
    """Oldest first, each with the text that was accepted."""
    asked_at: str | None
    """When they have asked for another way; None if they have not."""


def rights_of(session: Session, interview: InterviewKey) -> Rights:
    """Return what an applicant has accepted and asked for."""
    notices = Notices(session)
    consents = Consents(session).of(interview)
    return Rights(
        [(consent, notices.version(interview.access_key, consent.version)) for consent in consents],
        OtherWays(session).asked_at(interview),
    )
