"""The verification of a chain of the audit trail, event by event, in constant memory."""

from collections.abc import Iterator, Mapping

from db import Database
from records.audit_chain import hash_of, link_if_possible
from records.audit_queries import NO_HASH, AuditChains, Event, Head

# Events that are read at once.
AT_ONCE = 500


class Verification:
    """The verification of one position's chain; what it comes to is there once it has ended."""

    def __init__(self, database: Database, position: str, kept: Mapping[int, str]) -> None:
        """Prepare it.

        Args:
            database: Where the chain is.
            position: The digest of its position.
            kept: Hashes by the places of events, as somebody has kept them elsewhere.

        """
        self.head = Head(0, NO_HASH)
        """The last event that was found."""
        self.events = 0
        self._database = database
        self._position = position
        self._kept = dict(kept)
        self._place: tuple[object, int] | None = None
        # None after a place that is empty: what the next event follows is then not known.
        self._previous: str | None = NO_HASH

    def problems(self) -> Iterator[str]:
        """Verify the chain, and yield a sentence for each event that is not as it was written."""
        link_if_possible(self._database, self._position)
        while True:
            place = self._place
            yield from self._events()
            with self._database.reading() as session:
                head = AuditChains(session).head(self._position)
            # What the head is ahead by was linked just now, or else was taken off the end.
            if head is None or head.sequence <= self.head.sequence or self._place == place:
                break
        yield from self._compared(head)
        for sequence in self._kept:
            yield f"Event {sequence}, whose hash was kept, is missing."

    def _events(self) -> Iterator[str]:
        """Verify the events from where the last look has ended."""
        while True:
            with self._database.reading() as session:
                events = AuditChains(session).from_place(self._position, self._place, AT_ONCE)
            for event in events:
                yield from self._followed_by(event)
            if len(events) < AT_ONCE:
                return

    def _followed_by(self, event: Event) -> Iterator[str]:
        sequence = event.sequence
        self._place = (sequence, event.number)
        self.events += 1
        expected = self.head.sequence + 1
        # SQLite stores anything in any column.
        if not isinstance(sequence, int) or sequence < expected:
            yield f"An event was put in at place {sequence}."
            return
        if sequence > expected:
            yield f"{_events_from(expected, sequence - 1)} missing."
            self._previous = None
        if self._previous is not None and hash_of(event, self._previous) != event.hash:
            yield f"Event {sequence} was changed or put in, or the one before it was."
        if self._kept.pop(sequence, event.hash) != event.hash:
            yield f"Event {sequence} has another hash than the one that was kept."
        self._previous = event.hash or ""
        self.head = Head(sequence, self._previous)

    def _compared(self, head: Head | None) -> Iterator[str]:
        """Compare the last event with the head."""
        if head is None and self.events:
            yield "The head of the chain is missing."
        elif head is None or head == self.head:
            return
        elif head.sequence > self.head.sequence:
            yield f"{_events_from(self.head.sequence + 1, head.sequence)} missing at the end."
        elif head.sequence < self.head.sequence:
            yield f"Events were put in behind event {head.sequence}, or the head was set back."
        else:
            yield f"Event {head.sequence} has another hash than the head of the chain."


def _events_from(first: int, last: int) -> str:
    return f"Event {first} is" if first == last else f"Events {first} to {last} are"
