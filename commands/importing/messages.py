"""The file's messages, put behind those that the database has of the same interviews.

A message keeps its id where it can, as scorecards name messages by their ids.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from commands.importing.cleaning import STEP
from commands.importing.errors import ImportingError, listed
from storage.sqlite.driver import sqlite3

if TYPE_CHECKING:
    from psycopg import Cursor

TABLES = """
    CREATE TEMPORARY TABLE incoming (
        old_id BIGINT PRIMARY KEY, content TEXT, date_created TEXT, role TEXT,
        access_key TEXT COLLATE "C", name TEXT COLLATE "C", email TEXT COLLATE "C",
        is_finished INTEGER, is_changed INTEGER, place BIGINT, new_id BIGINT, is_new BOOLEAN
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE incoming_keys (
        access_key TEXT, name TEXT, email TEXT, idempotency_key TEXT, request TEXT, old_id BIGINT
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE incoming_revocations (
        interview TEXT, revocations INTEGER
    ) ON COMMIT DROP
"""

# The database's messages of the same interviews, each with its place in its interview.
PRESENT = """
    CREATE TEMPORARY TABLE present ON COMMIT DROP AS
    SELECT id, content, date_created, role, access_key, name, email,
    row_number() OVER (PARTITION BY access_key, name, email ORDER BY id) AS place
    FROM messages JOIN (SELECT DISTINCT access_key, name, email FROM incoming) AS interviews
    USING (access_key, name, email)
"""
PLACES = """
    UPDATE incoming SET place = numbered.place FROM (
        SELECT old_id,
        row_number() OVER (PARTITION BY access_key, name, email ORDER BY old_id) AS place
        FROM incoming
    ) AS numbered WHERE incoming.old_id = numbered.old_id
"""
CLASHES = """
    SELECT DISTINCT access_key, name, email
    FROM incoming JOIN present USING (access_key, name, email, place)
    WHERE (incoming.role, incoming.content, incoming.date_created)
    IS DISTINCT FROM (present.role, present.content, present.date_created)
    ORDER BY access_key, name, email
"""
KNOWN_IDS = """
    UPDATE incoming SET new_id = present.id FROM present
    WHERE incoming.access_key = present.access_key AND incoming.name = present.name
    AND incoming.email = present.email AND incoming.place = present.place
"""
NEW_MESSAGES = "UPDATE incoming SET is_new = new_id IS NULL"

# The interviews of which a new message has an id that another message has in the database, or one
# that is not greater than those which the database has of the same interview.
WITHOUT_THEIR_IDS = """
    CREATE TEMPORARY TABLE without_their_ids ON COMMIT DROP AS
    SELECT DISTINCT access_key, name, email FROM incoming
    LEFT JOIN (SELECT id AS taken FROM messages) AS others ON taken = old_id
    LEFT JOIN (
        SELECT access_key, name, email, MAX(id) AS newest FROM present
        GROUP BY access_key, name, email
    ) AS ends USING (access_key, name, email)
    WHERE is_new AND (taken IS NOT NULL OR newest >= old_id)
"""
OLD_IDS = """
    UPDATE incoming SET new_id = old_id WHERE is_new AND NOT EXISTS (
        SELECT 1 FROM without_their_ids AS without WHERE without.access_key = incoming.access_key
        AND without.name = incoming.name AND without.email = incoming.email
    )
"""
# No lower than any id of the database, nor any that is about to be stored.
BEFORE = """
    SELECT GREATEST(
        nextval('messages_id_seq'), (SELECT MAX(id) FROM messages),
        (SELECT MAX(new_id) FROM incoming WHERE is_new)
    )
"""
# Greater than all others, in the file's order, so that an interview's ids ascend.
NEW_IDS = """
    UPDATE incoming SET new_id = numbered.new_id FROM (
        SELECT old_id, %(before)s + row_number() OVER (ORDER BY old_id) AS new_id
        FROM incoming WHERE new_id IS NULL
    ) AS numbered WHERE incoming.old_id = numbered.old_id
"""
INSERT = """
    INSERT INTO messages
    (id, content, date_created, role, access_key, name, email, is_finished, is_first)
    SELECT new_id, content, date_created, role, access_key, name, email, is_finished,
    CASE place WHEN 1 THEN 1 ELSE 0 END
    FROM incoming WHERE is_new ORDER BY new_id
"""
INSERT_KEYS = """
    INSERT INTO idempotency_keys
    (access_key, name, email, idempotency_key, request, message_id)
    SELECT incoming_keys.access_key, incoming_keys.name, incoming_keys.email, idempotency_key,
    request, new_id FROM incoming_keys JOIN incoming USING (old_id) ON CONFLICT DO NOTHING
"""
INSERT_REVOCATIONS = """
    INSERT INTO token_revocations (interview, revocations)
    SELECT interview, revocations FROM incoming_revocations
    ON CONFLICT (interview) DO UPDATE
    SET revocations = GREATEST(token_revocations.revocations, EXCLUDED.revocations)
"""
ARRIVED = """
    SELECT COUNT(*) FILTER (WHERE content = old_content AND email = old_email) = COUNT(*) FROM (
        SELECT incoming.content AS old_content, incoming.email AS old_email,
        messages.content, messages.email FROM incoming LEFT JOIN messages ON id = new_id
    ) AS pairs
"""


class Counts(NamedTuple):
    """Counts of the interviews and messages that were stored, and of those that were there."""

    interviews: int
    messages: int
    were_there: int


def send_messages(
    source: sqlite3.Connection, cursor: Cursor[Any], changed: Collection[int]
) -> None:
    """Send the file's messages, and what belongs to them, to temporary tables.

    Args:
        source: The file.
        cursor: In the import's transaction.
        changed: The ids of messages that are not what they were in the file.

    """
    cursor.execute(TABLES)
    (count,) = source.execute("SELECT COUNT(*) FROM messages").fetchone()
    rows = source.execute(
        "SELECT id, content, CAST(date_created AS TEXT), role, access_key, name, email,"
        " is_finished FROM messages ORDER BY id"
    )
    columns = "old_id, content, date_created, role, access_key, name, email, is_finished"
    with click.progressbar(
        rows, length=count, label="Sending", file=sys.stderr, update_min_steps=STEP
    ) as bar:
        send(
            cursor,
            f"COPY incoming ({columns}, is_changed) FROM STDIN",
            ((*row, int(row[0] in changed)) for row in bar),
        )
    send(
        cursor,
        "COPY incoming_keys FROM STDIN",
        source.execute(
            "SELECT access_key, name, email, idempotency_key, request, message_id"
            " FROM idempotency_keys"
        ),
    )
    send(
        cursor,
        "COPY incoming_revocations FROM STDIN",
        source.execute("SELECT interview, revocations FROM token_revocations"),
    )
    cursor.execute(PLACES)
    cursor.execute("ANALYZE incoming")


def send(cursor: Cursor[Any], statement: str, rows: Iterable[Any]) -> None:
    """Send rows by a COPY statement."""
    with cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def store_messages(cursor: Cursor[Any]) -> Counts:
    """Store the messages that the database does not have.

    To be called with the import's locks.

    Raises:
        ImportingError: Interviews differ.

    """
    cursor.execute(PRESENT)
    cursor.execute(CLASHES)
    if clashes := cursor.fetchall():
        raise ImportingError(
            listed(
                f"Nothing was imported: {len(clashes)} interviews (access key / name / e-mail)"
                " are in the database with other messages than in the file",
                clashes,
            )
        )
    cursor.execute(KNOWN_IDS)
    cursor.execute(NEW_MESSAGES)
    counts = _counts(cursor)
    if counts.messages:
        _store_new(cursor)
    cursor.execute(INSERT_KEYS)
    cursor.execute(INSERT_REVOCATIONS)
    cursor.execute(ARRIVED)
    if cursor.fetchone() != (True,):
        raise ImportingError("Nothing was imported: not every message arrived.")
    return counts


def _counts(cursor: Cursor[Any]) -> Counts:
    cursor.execute(
        "SELECT COUNT(*) FILTER (WHERE is_new AND place = 1), COUNT(*) FILTER (WHERE is_new),"
        " COUNT(*) FILTER (WHERE NOT is_new AND place = 1) FROM incoming"
    )
    return Counts._make(cursor.fetchone() or (0, 0, 0))


def _store_new(cursor: Cursor[Any]) -> None:
    cursor.execute(WITHOUT_THEIR_IDS)
    cursor.execute(OLD_IDS)
    cursor.execute(BEFORE)
    (before,) = cursor.fetchone() or (0,)
    cursor.execute(NEW_IDS, {"before": before})
    cursor.execute("SELECT setval('messages_id_seq', %s)", [before + cursor.rowcount])
    # The trigger would take a lock for each interview, and a server has room for some thousands.
    # INSERT marks the first messages instead; nothing else can write meanwhile.
    cursor.execute("ALTER TABLE messages DISABLE TRIGGER messages_first")
    cursor.execute(INSERT)
    cursor.execute("ALTER TABLE messages ENABLE TRIGGER messages_first")
