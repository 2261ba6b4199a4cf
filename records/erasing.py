"""Erasing a person: every row about them, and then every byte that those rows leave in files.

The rows go in one transaction, with a receipt, an event of the audit trail, and the tokens. What is
under way about the person finds nothing to write to any more, and ends. Then the files are wiped;
the receipt says when that was done. Until then a job stands for it, which outlives this process.
"""

from background.jobs import Jobs
from db import (
    AuditTrail,
    Database,
    DatabaseUnavailable,
    Erasures,
    InterviewKey,
    PersonalData,
    Receipt,
    Session,
    TokenRevocations,
)
from positions.retention import JOB_KIND
from records.errors import Held, UnknownApplicant
from records.hold_queries import LegalHolds

# The job that wipes the files.
WIPING = "wiping"

# Seconds that a request waits for the files to be wiped, and seconds after which the background
# takes it up if the request's process has not lived to see it.
PATIENCE = 15.0
BACKGROUND_AFTER = 30.0


def erase(database: Database, interview: InterviewKey) -> Receipt:
    """Erase the person, and return the receipt; without `wiped_at` if the files could not be wiped.

    That is then done in the background, or by erasing the person again, which returns the same
    receipt until it is done.

    Raises:
        UnknownApplicant: Nothing is stored about them.
        Held: They are under a legal hold, or their position is.

    """
    with database.transaction(interview) as session:
        receipt = erase_rows(session, interview, must_be_wiped=database.must_be_wiped)
        if receipt is None:
            receipt = Erasures(session).newest_unwiped(interview)
    if receipt is None:
        raise UnknownApplicant
    if receipt.wiped_at is not None or not has_wiped(database):
        return receipt
    with database.reading() as session:
        return Erasures(session).one(receipt.receipt_id) or receipt


def erase_rows(session: Session, interview: InterviewKey, *, must_be_wiped: bool) -> Receipt | None:
    """Delete every row about the person; return the receipt, or None if there was none.

    To be called in a transaction of the interview.

    Raises:
        Held: They are under a legal hold, or their position is.

    """
    # What is about to be held, or invited, is stored before or after this, and not in between. All
    # else is stored by transactions of the interview, or with a job.
    session.keep_out("legal_holds")
    session.keep_out("invitations")
    if LegalHolds(session).holding(interview):
        raise Held
    rows = PersonalData(session).erase(interview)
    if not rows:
        return None
    TokenRevocations(session).add(interview.digest())
    receipt = Erasures(session).add(interview, rows, is_wiped=not must_be_wiped)
    AuditTrail(session).add(
        interview.access_key,
        "interview.erased",
        interview,
        receipt_id=receipt.receipt_id,
        rows=sum(rows.values()),
    )
    if must_be_wiped:
        Jobs(session).add(JOB_KIND, WIPING, BACKGROUND_AFTER)
    return receipt


def has_wiped(database: Database) -> bool:
    """Wipe the files, and return whether nothing is left of whoever was erased before."""
    try:
        with database.reading() as session:
            number = Erasures(session).last_unwiped()
            is_first = not Erasures(session).has_wiped()
        database.wipe(PATIENCE, thoroughly=is_first)
        with database.transaction() as session:
            Erasures(session).wiped(number)
    except DatabaseUnavailable:
        return False
    return True
