"""The receipts of erasures: that somebody was erased, when, and how much; not who it was."""

import json
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, NamedTuple

from storage.database import Session
from storage.rows import InterviewKey, position_digest
from storage.times import stored_now

COLUMNS = "receipt_id, interview, erased_at, counts, wiped_at"


class Receipt(NamedTuple):
    """A receipt. Times are UTC, `YYYY-MM-DD HH:MM:SS.ffffff`."""

    receipt_id: str
    interview: str
    """The digest of the interview that was erased."""
    erased_at: str
    rows: dict[str, int]
    """How many rows were deleted, by their table."""
    wiped_at: str | None
    """When nothing was left in the database's files; None while that is not certain."""


class Erasures:
    """The receipts, none of which is ever changed, but for `wiped_at`."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def newest(self, interview: InterviewKey) -> Callable[[], int]:
        """Ask for a number that grows whenever the interview is erased.

        Return what waits for the answer, which comes with those that are asked for after it.
        """
        rows = self._execute(
            "SELECT COALESCE(MAX(number), 0) FROM erasures WHERE interview = :interview",
            {"interview": interview.digest()},
        )
        return lambda: int((rows.fetchone() or (0,))[0])

    def add(self, interview: InterviewKey, rows: dict[str, int], *, is_wiped: bool) -> Receipt:
        """Store a receipt of now, in the transaction that deletes the rows."""
        now = stored_now()
        receipt = Receipt(token_hex(16), interview.digest(), now, rows, now if is_wiped else None)
        self._execute(
            f"INSERT INTO erasures ({COLUMNS}, position) VALUES (:receipt_id, :interview,"
            " :erased_at, :counts, :wiped_at, :position)",
            {
                **receipt._asdict(),
                "counts": json.dumps(rows),
                "position": position_digest(interview.access_key),
            },
        )
        return receipt

    def one(self, receipt_id: str) -> Receipt | None:
        """Return the receipt with this id."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM erasures WHERE receipt_id = :receipt_id",
            {"receipt_id": receipt_id},
        ).fetchone()
        return _receipt(row) if row else None

    def newest_unwiped(self, interview: InterviewKey) -> Receipt | None:
        """Return the receipt of the interview's newest erasure, if something may be left of it."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM erasures WHERE interview = :interview"
            " ORDER BY number DESC LIMIT 1",
            {"interview": interview.digest()},
        ).fetchone()
        receipt = _receipt(row) if row else None
        return receipt if receipt and receipt.wiped_at is None else None

    def last_unwiped(self) -> int:
        """Return the number of the last erasure of which something may be left; 0 for none."""
        row = self._execute(
            "SELECT COALESCE(MAX(number), 0) FROM erasures WHERE wiped_at IS NULL", {}
        ).fetchone()
        return int(row[0]) if row else 0

    def has_wiped(self) -> bool:
        """Return whether the database's files were ever wiped."""
        row = self._execute("SELECT 1 FROM erasures WHERE wiped_at IS NOT NULL LIMIT 1", {})
        return row.fetchone() is not None

    def wiped(self, number: int) -> None:
        """Store that nothing is left of all erasures up to this number."""
        self._execute(
            "UPDATE erasures SET wiped_at = :now WHERE wiped_at IS NULL AND number <= :number",
            {"now": stored_now(), "number": number},
        )

    def of_position(
        self, access_key: str, limit: int, before: int | None
    ) -> list[tuple[int, Receipt]]:
        """Return receipts under the access key with their numbers, the newest first.

        Args:
            access_key: The position's.
            limit: The most to return.
            before: The number that theirs are lower than; None for the newest.

        """
        rows = self._execute(
            f"SELECT number, {COLUMNS} FROM erasures WHERE position = :position"
            f" {'' if before is None else 'AND number < :before'}"
            " ORDER BY number DESC LIMIT :limit",
            {"position": position_digest(access_key), "before": before, "limit": limit},
        )
        return [(number, _receipt(row)) for number, *row in rows.fetchall()]


def _receipt(row: Sequence[Any]) -> Receipt:
    receipt_id, interview, erased_at, counts, wiped_at = row
    return Receipt(receipt_id, interview, erased_at, json.loads(counts), wiped_at)
