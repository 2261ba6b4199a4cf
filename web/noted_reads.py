"""Reads as events of the audit trail: noted before they are answered, and answered all the same.

What changes something adds its event in its own transaction. A read has none, and must not fail
because the disk is full.
"""

import logging

from db import AuditTrail, DatabaseUnavailable, InterviewKey
from monitoring import request_record
from web.service import service

log = logging.getLogger(__name__)

# Seconds in which the same read by the same person is noted once, where a page or an applicant may
# repeat it as often as they like.
ONCE_IN = 600.0


def note_read(
    action: str, interview: InterviewKey, *, is_repeated: bool = False, actor: str | None = None
) -> None:
    """Note that somebody reads what belongs to an interview; if that fails, log that it is missing.

    Args:
        action: What is read, as `transcript.read`.
        interview: Whose it is.
        is_repeated: Whether to note it only once in a while.
        actor: Who reads, if not the caller of the request.

    """
    database = service().database
    try:
        if is_repeated:
            with database.reading() as session:
                if AuditTrail(session).has_of_late(action, interview, ONCE_IN, actor):
                    return
        with database.transaction() as session:
            AuditTrail(session).add(interview.access_key, action, interview, actor=actor)
    except DatabaseUnavailable:
        log.error(  # noqa: TRY400  # the database has logged why
            "An event is missing in the audit trail: %s by %s, of %s",
            *(action, actor or request_record.actor(), interview.digest()),
        )


def note_transcript(interview: InterviewKey, *, is_repeated: bool = False) -> None:
    """Note that the holder of a key reads a transcript; of applicants' own reads nothing is noted.

    Without `API_KEYS` there is no key that could be named.
    """
    if request_record.actor().startswith("key "):
        note_read("transcript.read", interview, is_repeated=is_repeated)
