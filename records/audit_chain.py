"""The chains of the audit trail: each event holds the hash of the one before it in its position.

An event is added loose, as its transaction must wait for no other, and linked a moment later: in
the background, and before the trail is read.
"""

import json
import logging
from hashlib import sha256
from itertools import groupby
from operator import attrgetter

from db import Database, DatabaseUnavailable, InterviewKey
from records.audit_queries import AuditChains, Event, Head

log = logging.getLogger(__name__)

# Events that are linked in one transaction; other writers wait for some 20 ms at most.
AT_ONCE = 500

# Seconds between two looks for loose events.
PAUSE = 2.0

# Whoever links keeps all others from it, and an import from the tables. It stands for no interview.
LINKING = InterviewKey("", "", "")


def hash_of(event: Event, previous: str) -> str:
    """Return the hash of an event: the SHA-256 of all that is stored of it, and of its place.

    It is taken of a list in JSON, in UTF-8, without white space: the hash of the event before it,
    its place, and the event's own texts. `number` is not in it, as an import draws it anew.
    """
    texts = [event.position, event.at, event.actor, event.action, event.subject, event.detail]
    written = json.dumps(
        [previous, event.sequence, *texts],
        ensure_ascii=False,
        separators=(",", ":"),
        default=repr,  # of what somebody else has stored in the place of a text
    )
    return sha256(written.encode(errors="surrogatepass")).hexdigest()


def link(database: Database, position: str | None = None) -> None:
    """Make every event that is loose a link of its chain, those of one position or of all."""
    while _link_some(database, position):
        pass


def link_if_possible(database: Database, position: str) -> None:
    """Link the position's events before its trail is read, which a full disk must not prevent."""
    try:
        link(database, position)
    except DatabaseUnavailable:
        log.warning("The newest events of the audit trail of position %s wait", position)


def _link_some(database: Database, position: str | None) -> bool:
    """Link events, and return whether there may be more."""
    with database.reading() as session:
        if not AuditChains(session).has_loose(position):
            return False
    with database.transaction(LINKING) as session:
        chains = AuditChains(session)
        loose = chains.loose(position, AT_ONCE)
        for digest, events in groupby(loose, attrgetter("position")):
            head = _end_of(chains, digest)
            for event in events:
                placed = event._replace(sequence=head.sequence + 1)
                head = Head(head.sequence + 1, hash_of(placed, head.hash))
                chains.link(placed._replace(hash=head.hash))
            chains.move_head(digest, head)
    return len(loose) == AT_ONCE


def _end_of(chains: AuditChains, position: str) -> Head:
    """Return what the next event follows."""
    head = chains.head_to_move(position)
    last = chains.last(position)
    if last <= head.sequence:
        return head
    # The head was removed or set back. The trail goes on, and a place that stays empty shows it.
    log.error("The audit trail of position %s has lost its head", position)
    return head._replace(sequence=last + 1)


class AuditLinker:
    """The chore that links what this process and others have added."""

    name = "audit"
    pause = PAUSE

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self) -> None:
        """Link all that is loose."""
        link(self._database)
