"""Applicants' acceptance of a position's notice."""

from db import AuditTrail, Consent, Consents, InterviewKey, PositionTerms
from positions.errors import NoPosition
from positions.notices import Notices
from records.errors import NoticeReplaced, UnknownNotice
from web.service import service


def accept(interview: InterviewKey, version: int) -> Consent:
    """Store that the applicant accepts a version of the notice, and return it.

    Whoever has accepted it already gets that first consent, whatever the position has now.

    Raises:
        NoPosition: The access key has no position, and so no notice.
        UnknownNotice: There is no such version.
        NoticeReplaced: There is a newer one, which must be read first.

    """
    with service().database.transaction(interview) as session:
        consents = Consents(session)
        known = consents.accepted_at(interview, version)
        if known is not None:
            return Consent(version, known)
        terms = PositionTerms(session).of(interview.access_key)
        if terms is None:
            raise NoPosition
        if Notices(session).version(interview.access_key, version) is None:
            raise UnknownNotice
        if terms.notice_version != version:
            raise NoticeReplaced
        made = consents.add(interview, version)
        AuditTrail(session).add(interview.access_key, "consent.given", interview, version=version)
    return made
