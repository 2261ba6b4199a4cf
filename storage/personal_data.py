"""Personal data: which tables hold some, and how one person's rows are found and deleted.

Every table of the schema is in one of the two lists here; a test fails for one that is in neither.
"""

from collections.abc import Iterable
from typing import Any

from storage.database import Session
from storage.rows import InterviewKey

# A row has the person's names, or the interview's digest, or belongs to one of its scorecards.
NAMED = "{one_interview}"
OF_INTERVIEW = "interview = :interview"
OF_SCORECARD = "{column} IN (SELECT id FROM scorecards WHERE interview = :interview)"

# The tables whose rows about a person go with the person, in the order in which they are deleted.
# Jobs are first, as whatever works on one locks it before it writes anything else; what refers to
# another table's rows goes before those.
PERSONAL = {
    "jobs": OF_SCORECARD.replace("{column}", "subject"),
    "scorecard_runs": OF_SCORECARD.replace("{column}", "scorecard"),
    "scorecard_reviews": OF_SCORECARD.replace("{column}", "scorecard"),
    "scorecards": OF_INTERVIEW,
    "decisions": OF_INTERVIEW,
    "corrections": OF_INTERVIEW,
    "other_ways": OF_INTERVIEW,
    "consents": OF_INTERVIEW,
    "legal_holds": OF_INTERVIEW,  # those that have ended: a person who is held is not erased
    "idempotency_keys": NAMED,
    "messages": NAMED,
    "invitations": OF_INTERVIEW,
}

# The tables that name nobody, each with the reason why it stays.
NOT_PERSONAL = {
    "positions": "what recruiters ask of everybody",
    "rubrics": "what recruiters ask of everybody",
    "notices": "what everybody is told",
    "audit_events": "names an interview by its digest, and holds no word of it",
    "audit_heads": "ends of chains",
    "erasures": "names an interview by its digest",
    "token_revocations": "names an interview by its digest, and keeps its old tokens from opening",
}

# What the databases keep for themselves.
SCHEMA_TABLES = {"schema_version", "sqlite_sequence"}


class PersonalData:
    """All that is stored about one person under one access key."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self, interview: InterviewKey) -> dict[str, int]:
        """Return how many rows each table has about the person; a table without any is left out."""
        values = _values(interview)
        found = {
            table: self._session.execute(
                f"SELECT COUNT(*) FROM {table} WHERE {self._condition(table)}", values
            )
            for table in PERSONAL
        }
        counts = {table: (rows.fetchone() or (0,))[0] for table, rows in found.items()}
        return {table: count for table, count in counts.items() if count}

    def erase(self, interview: InterviewKey) -> dict[str, int]:
        """Delete all of it, and return how many rows each table had."""
        values = _values(interview)
        deleted = {
            table: self._session.execute(
                f"DELETE FROM {table} WHERE {self._condition(table)} RETURNING *", values
            )
            for table in PERSONAL
        }
        rows = {table: found.fetchall() for table, found in deleted.items()}
        rows = {table: found for table, found in rows.items() if found}
        for table, found in rows.items():
            self._session.forget_samples(table, _texts(found))
        return {table: len(found) for table, found in rows.items()}

    def _condition(self, table: str) -> str:
        return PERSONAL[table].replace("{one_interview}", self._session.one_interview)


def _values(interview: InterviewKey) -> dict[str, object]:
    return {**interview._asdict(), "interview": interview.digest()}


def _texts(rows: Iterable[tuple[Any, ...]]) -> set[str]:
    return {value for row in rows for value in row if isinstance(value, str)}
