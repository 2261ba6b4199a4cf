"""The notice of a position as its applicants are shown it."""

import logging

from db import AuditTrail, DatabaseUnavailable
from positions.default_notice import default_notice
from positions.notices import Notice, Notices, store_notice
from positions.queries import Positions, StoredPosition, lock_of
from records.errors import UnknownNotice
from web.service import service

log = logging.getLogger(__name__)


def notice_of(position: StoredPosition) -> Notice:
    """Return the notice that the position has now."""
    return position.notice or _first_notice(position)


def notice_by_version(access_key: str, version: int) -> Notice:
    """Return a version of the position's notice, whichever it has now.

    Raises:
        UnknownNotice: There is no such version.

    """
    with service().database.reading() as session:
        notice = Notices(session).version(access_key, version)
    if notice is None:
        raise UnknownNotice
    return notice


def _first_notice(position: StoredPosition) -> Notice:
    """Return the default for a position that was put when there were no notices.

    It is stored, so that it can be accepted. Where that is not possible, on a full disk for
    example, it can be read all the same, without a version.
    """
    language, text = default_notice(
        position.plan["language"] if position.plan else None,
        is_rated=position.rubric is not None,
        correction_hours=position.correction_hours,
        retention_days=position.retention_days,
        contact=service().config.contact,
    )
    try:
        with service().database.transaction(lock_of(position.access_key)) as session:
            now = Positions(session).get(position.access_key)
            if now is not None and now.notice is not None:
                return now.notice  # another request was faster
            version = store_notice(session, position.access_key, language, text)
            Notices(session).use(position.access_key, version)
            AuditTrail(session).add(position.access_key, "notice.put", notice_version=version)
    except DatabaseUnavailable:
        log.warning("A position's first notice could not be stored, and was shown all the same")
        return Notice(None, language, text)
    return Notice(version, language, text)
