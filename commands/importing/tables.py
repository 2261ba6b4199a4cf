"""The rows of `storage/tables.py`, merged with those that the database has.

Each table is named in `TABLES`, with what decides whether the two can be one. The steps are the
same for all: the file's rows are sent to a temporary table, compared, those that the database has
already are removed, and the rest is stored. Keys that a database counts up are drawn anew, in the
file's order, as no other row names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from commands.importing.audit import AUDIT_TABLES
from commands.importing.errors import ImportingError, listed
from commands.importing.messages import send
from commands.importing.table import Table
from storage.sqlite.driver import sqlite3

if TYPE_CHECKING:
    from psycopg import Cursor

OF_POSITION = "SELECT access_key FROM positions WHERE position = ?"
OF_SCORECARD = "SELECT access_key, name, email FROM scorecards WHERE id = ?"


class Stored(NamedTuple):
    """The number of a table's rows that were stored, of those that the file has."""

    noun: str
    stored: int
    in_file: int

    def __str__(self) -> str:
        return f"{self.stored} of {self.in_file} {self.noun}"


def history(
    name: str,
    noun: str,
    *,
    owner: str,
    order: str,
    same: str,
    clash: str,
    whose: str,
    settle: str = "",
) -> Table:
    """Return a table to which rows are only ever added, each behind the others of its owner.

    If both have rows of an owner, they must be the same at each place, as the messages of an
    interview must; what the file has more of is stored.

    Args:
        name: The table.
        noun: Its rows, in the summary.
        owner: The column that names the owner.
        order: The column that orders an owner's rows.
        same: The columns that are compared.
        clash: The end of the error's sentence: the rows that differ, and how.
        whose: Selects from the file what an error calls an owner by.
        settle: Changes rows that the database has to what has become of them in the file.

    """
    place = f"row_number() OVER (PARTITION BY {owner} ORDER BY {order}) AS place"
    of_file = f"(SELECT *, {place} FROM incoming_{name})"
    of_database = (
        f"(SELECT *, {place} FROM {name} WHERE {owner} IN (SELECT {owner} FROM incoming_{name}))"
    )
    columns = same.split(", ")
    return Table(
        name,
        noun,
        order,
        remove_known=(
            f"DELETE FROM incoming_{name} USING {of_file} AS placed JOIN {of_database} AS present"
            f" USING ({owner}, place) WHERE incoming_{name}.{owner} = placed.{owner}"
            f" AND incoming_{name}.{order} = placed.{order}"
        ),
        clashes=(
            f"SELECT DISTINCT {owner} FROM {of_file} AS incoming JOIN {of_database} AS present"
            f" USING ({owner}, place) WHERE ({', '.join(f'incoming.{one}' for one in columns)})"
            f" IS DISTINCT FROM ({', '.join(f'present.{one}' for one in columns)})"
        ),
        clash=clash,
        whose=whose,
        settle=settle,
    )


def replaceable(
    name: str,
    noun: str,
    *,
    key: str,
    order: str,
    differs: str,
    is_newer: str,
    clash: str,
    whose: str,
) -> Table:
    """Return a table with one row for each key, of which the file or the database has the newer.

    Args:
        name: The table.
        noun: Its rows, in the summary.
        key: The column by which rows are the same.
        order: The column by which they are stored.
        differs: The condition on which the rows `incoming` and `present` clash.
        is_newer: The condition on which `incoming` replaces `present`.
        clash: The end of the error's sentence: the rows that differ, and how.
        whose: Selects from the file what an error calls a row by.

    """
    return Table(
        name,
        noun,
        order,
        remove_known=(
            f"DELETE FROM incoming_{name} AS incoming USING {name} AS present"
            f" WHERE incoming.{key} = present.{key} AND NOT ({is_newer})"
        ),
        clashes=(
            f"SELECT {key} FROM incoming_{name} AS incoming JOIN {name} AS present USING ({key})"
            f" WHERE {differs}"
        ),
        clash=clash,
        whose=whose,
        replaced_by=key,
    )


# In the order in which they are locked and stored. Jobs come first, as whatever works on one locks
# it before it writes anything else.
TABLES = (
    # A job and the runs of a pending scorecard come with it.
    Table(
        "jobs",
        "jobs",
        "id",
        remove_known="DELETE FROM incoming_jobs WHERE subject IN (SELECT id FROM scorecards)",
    ),
    Table(
        "scorecard_runs",
        "runs of pending scorecards",
        "scorecard",
        remove_known=(
            "DELETE FROM incoming_scorecard_runs WHERE scorecard IN (SELECT id FROM scorecards)"
        ),
    ),
    # No version of a rubric ever changes, and scorecards name them by their numbers.
    history(
        "rubrics",
        "versions of rubrics",
        owner="position",
        order="version",
        same="version, sha256",
        clash="positions (access key) are in the database with other versions of their rubric",
        whose=OF_POSITION,
    ),
    # No version of a notice ever changes, and consents name them by their numbers.
    history(
        "notices",
        "versions of notices",
        owner="position",
        order="version",
        same="version, language, text",
        clash="positions (access key) are in the database with other versions of their notice",
        whose=OF_POSITION,
    ),
    # Those with the same time of creation are one position, which came with an earlier import.
    replaceable(
        "positions",
        "positions",
        key="position",
        order="id",
        differs=(
            "incoming.created_at <> present.created_at AND ((incoming.title, incoming.prompt,"
            " incoming.is_open, incoming.time_limit, incoming.is_scored_automatically,"
            " incoming.rubric_version, incoming.body, incoming.is_consent_required,"
            " incoming.correction_hours) IS DISTINCT FROM (present.title,"
            " present.prompt, present.is_open, present.time_limit,"
            " present.is_scored_automatically, present.rubric_version, present.body,"
            " present.is_consent_required, present.correction_hours)"
            # Where nobody has read the default notice yet, none is stored.
            " OR incoming.notice_version <> present.notice_version)"
        ),
        is_newer=(
            "incoming.created_at = present.created_at AND incoming.updated_at > present.updated_at"
        ),
        clash="positions (access key) are in the database with other contents",
        whose=OF_POSITION,
    ),
    history(
        "scorecard_reviews",
        "reviews",
        owner="scorecard",
        order="number",
        same="criterion, score, reason, reviewer, created_at",
        clash="scorecards (access key / name / e-mail) are in the database with other reviews",
        whose=OF_SCORECARD,
    ),
    # A scorecard's total follows its reviews, so that one with new reviews replaces the other. By
    # then, the reviews that the database has already are removed from those of the file.
    replaceable(
        "scorecards",
        "scorecards",
        key="id",
        order="number",
        differs=(
            "'pending' NOT IN (incoming.state, present.state)"
            " AND incoming.finished_at <> present.finished_at"
        ),
        is_newer=(
            "(present.state = 'pending' AND incoming.state <> 'pending') OR EXISTS ("
            "SELECT 1 FROM incoming_scorecard_reviews WHERE scorecard = incoming.id)"
        ),
        clash="scorecards (access key / name / e-mail) are in the database with another result",
        whose=OF_SCORECARD,
    ),
    # Once it has ended, an invitation has ended for good. A newer one replaces also a revoked one.
    history(
        "invitations",
        "invitations",
        owner="interview",
        order="number",
        same="secret_sha256",
        clash="applicants (access key / name / e-mail) are in the database with other invitations",
        whose="SELECT access_key, name, email FROM invitations WHERE interview = ?",
        settle=(
            "UPDATE invitations SET ended = LEAST(invitations.ended, incoming.ended)"
            " FROM incoming_invitations AS incoming"
            " WHERE invitations.secret_sha256 = incoming.secret_sha256"
            " AND invitations.ended IS DISTINCT FROM LEAST(invitations.ended, incoming.ended)"
        ),
    ),
    history(
        "decisions",
        "decisions",
        owner="interview",
        order="number",
        same="decision, reason, reviewer, created_at",
        clash="applicants (access key / name / e-mail) are in the database with other decisions",
        whose="SELECT access_key, name, email FROM decisions WHERE interview = ?",
    ),
    history(
        "consents",
        "consents",
        owner="interview",
        order="number",
        same="version, accepted_at",
        clash="applicants (access key / name / e-mail) are in the database with other consents",
        whose="SELECT access_key, name, email FROM consents WHERE interview = ?",
    ),
    history(
        "other_ways",
        "requests for another way",
        owner="interview",
        order="number",
        same="asked_at",
        clash=(
            "applicants (access key / name / e-mail) are in the database with another request for"
            " another way"
        ),
        whose="SELECT access_key, name, email FROM other_ways WHERE interview = ?",
    ),
    history(
        "corrections",
        "notes to messages",
        owner="interview",
        order="number",
        same="message_id, note, created_at",
        clash="applicants (access key / name / e-mail) are in the database with other notes",
        whose="SELECT access_key, name, email FROM corrections WHERE interview = ?",
    ),
    Table(
        "erasures",
        "receipts of erasures",
        "number",
        remove_known=(
            "DELETE FROM incoming_erasures WHERE receipt_id IN (SELECT receipt_id FROM erasures)"
        ),
    ),
    # A hold is known by what it holds, and since when.
    Table(
        "legal_holds",
        "legal holds",
        "number",
        settle=(
            "UPDATE legal_holds SET ended_at = incoming.ended_at, ended_by = incoming.ended_by,"
            " end_reason = incoming.end_reason FROM incoming_legal_holds AS incoming"
            " WHERE legal_holds.position = incoming.position"
            " AND legal_holds.interview = incoming.interview"
            " AND legal_holds.created_at = incoming.created_at"
            " AND legal_holds.ended_at IS NULL AND incoming.ended_at IS NOT NULL"
        ),
        remove_known=(
            "DELETE FROM incoming_legal_holds AS incoming USING legal_holds AS present"
            " WHERE incoming.position = present.position"
            " AND incoming.interview = present.interview"
            " AND incoming.created_at = present.created_at"
        ),
    ),
    # The last ones, as whatever adds an event has written something else before.
    *AUDIT_TABLES,
)

# A job that a process was working on is due at once, as if that process had put it back.
PUT_BACK = """
    UPDATE incoming_jobs SET lease = NULL, attempts = attempts - 1,
    due_at = EXTRACT(EPOCH FROM clock_timestamp()) WHERE lease IS NOT NULL
"""

# A note goes with its message, whichever id that has now.
RENUMBER = """
    UPDATE incoming_corrections SET message_id = new_id FROM incoming WHERE old_id = message_id
"""

# Interviews whose messages are not all what they were: no scorecard of the file fits them.
CHANGED = """
    CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
    SELECT DISTINCT access_key, name, email FROM incoming WHERE new_id <> old_id OR is_changed = 1
"""
UNFIT = """
    CREATE TEMPORARY TABLE unfit ON COMMIT DROP AS SELECT id, access_key, name, email
    FROM incoming_scorecards JOIN changed USING (access_key, name, email)
"""
UNFIT_INTERVIEWS = """
    SELECT DISTINCT access_key, name, email FROM unfit ORDER BY access_key, name, email
"""
REMOVE_UNFIT = """
    DELETE FROM incoming_scorecards WHERE id IN (SELECT id FROM unfit);
    DELETE FROM incoming_scorecard_runs WHERE scorecard IN (SELECT id FROM unfit);
    DELETE FROM incoming_scorecard_reviews WHERE scorecard IN (SELECT id FROM unfit);
    DELETE FROM incoming_jobs WHERE subject IN (SELECT id FROM unfit)
"""

# Of scorecards that were pending in the database and are finished in the file.
REMOVE_ENDED = """
    DELETE FROM jobs WHERE subject IN (
        SELECT id FROM incoming_scorecards WHERE state <> 'pending'
    );
    DELETE FROM scorecard_runs WHERE scorecard IN (
        SELECT id FROM incoming_scorecards WHERE state <> 'pending'
    )
"""


def send_tables(source: sqlite3.Connection, cursor: Cursor[Any]) -> None:
    """Send the file's rows to temporary tables."""
    for table in TABLES:
        temporary = f"CREATE TEMPORARY TABLE incoming_{table.name} (LIKE {table.name})"
        cursor.execute(f"{temporary} ON COMMIT DROP".encode())
        columns = ", ".join(_columns(cursor, table.name))
        rows = source.execute(f"SELECT {columns} FROM {table.name}")
        send(cursor, f"COPY incoming_{table.name} ({columns}) FROM STDIN", rows)
        cursor.execute(f"ANALYZE incoming_{table.name}".encode())
    cursor.execute(PUT_BACK)


def remove_unfit(cursor: Cursor[Any]) -> list[tuple[str, str, str]]:
    """Remove scorecards that do not fit their messages any more, and return their interviews.

    To be called once every message has its id.
    """
    cursor.execute(CHANGED)
    cursor.execute(UNFIT)
    cursor.execute(REMOVE_UNFIT)
    cursor.execute(UNFIT_INTERVIEWS)
    return cursor.fetchall()


def renumber_notes(cursor: Cursor[Any]) -> None:
    """Let notes name their messages by the ids that those have now."""
    cursor.execute(RENUMBER)


def store_tables(source: sqlite3.Connection, cursor: Cursor[Any]) -> tuple[Stored, ...]:
    """Store the rows that the database does not have, and return how many, where the file has any.

    To be called with the import's locks.

    Raises:
        ImportingError: Rows of the two cannot be one.

    """
    in_file = [_count(cursor, table) for table in TABLES]
    if clashes := [clash for table in TABLES for clash in _clashes(source, cursor, table)]:
        raise ImportingError("\n".join(clashes))
    for table in TABLES:
        if table.settle:
            cursor.execute(table.settle.encode())
        cursor.execute(table.remove_known.encode())
    stored = [_store(cursor, table) for table in TABLES]
    cursor.execute(REMOVE_ENDED)
    return tuple(
        Stored(table.noun, *counts)
        for table, *counts in zip(TABLES, stored, in_file, strict=True)
        if table.noun and any(counts)
    )


def _columns(cursor: Cursor[Any], table: str, condition: str = "") -> list[str]:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        f" AND NOT attisdropped {condition} ORDER BY attnum".encode(),
        [table],
    )
    return [name for (name,) in cursor.fetchall()]


def _count(cursor: Cursor[Any], table: Table) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM incoming_{table.name}".encode())
    (count,) = cursor.fetchone() or (0,)
    return int(count)


def _clashes(source: sqlite3.Connection, cursor: Cursor[Any], table: Table) -> list[str]:
    """Return an error that lists what differs, if anything does."""
    if not table.clashes:
        return []
    cursor.execute(table.clashes.encode())
    found = cursor.fetchall()
    if not found:
        return []
    names = sorted(source.execute(table.whose, key).fetchone() or key for key in found)
    return [listed(f"Nothing was imported: {len(names)} {table.clash} than in the file", names)]


def _store(cursor: Cursor[Any], table: Table) -> int:
    # All but the key that the database counts up.
    columns = _columns(cursor, table.name, "AND attidentity = ''")
    names = ", ".join(columns)
    replace = ""
    if table.replaced_by:
        settings = ", ".join(f"{column} = EXCLUDED.{column}" for column in columns)
        replace = f"ON CONFLICT ({table.replaced_by}) DO UPDATE SET {settings}"
    cursor.execute(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM incoming_{table.name}"
        f" ORDER BY {table.order} {replace}".encode()
    )
    return cursor.rowcount
