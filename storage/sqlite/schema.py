"""The schema, and how an older file comes to it.

The service that came before this one made the first version, without a number. The last functions
here bring the interviews of such a file into the order that everything else relies on: prompt,
interviewer, applicant, interviewer, ... by ascending id. No word is dropped.
"""

from datetime import UTC, datetime
from itertools import groupby

from storage.sqlite.driver import sqlite3
from storage.tables import TABLES, TABLES_OF_RECORDS, TABLES_OF_ROOMS, written_for

SCHEMA_VERSION = 6

# The table of the service before this one, and of every version of this one.
MESSAGES = """
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        content TEXT NOT NULL,
        date_created TIMESTAMP NOT NULL,
        role TEXT NOT NULL,
        access_key TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL
    )
"""
MESSAGES_COLUMNS = {"id", "content", "date_created", "role", "access_key", "name", "email"}

# With the key's columns first, one interview's messages are found and, as every index ends with
# the id, come in their order.
INTERVIEW_INDEX = "CREATE INDEX messages_interview ON messages (access_key, name, email)"

# One entry an interview, with all that the list of applicants shows.
APPLICANTS_INDEX = """
    CREATE INDEX messages_applicants ON messages (access_key, id, name, email) WHERE is_first = 1
"""

# One entry a finished interview.
FINISHED_INDEX = """
    CREATE INDEX messages_finished ON messages (access_key, name, email) WHERE is_finished = 1
"""

# Marks an interview's first message also for the service before this one, which does not.
FIRST_TRIGGER = """
    CREATE TRIGGER messages_first AFTER INSERT ON messages
    WHEN NOT EXISTS (
        SELECT 1 FROM messages WHERE access_key = NEW.access_key AND name = NEW.name
        AND email = NEW.email AND id <> NEW.id
    )
    BEGIN
        UPDATE messages SET is_first = 1 WHERE id = NEW.id;
    END
"""

# Which request came with an Idempotency-Key, as a fingerprint, and which message it brought;
# several keys may have brought the same.
IDEMPOTENCY_KEYS = """
    CREATE TABLE idempotency_keys (
        access_key TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        request TEXT NOT NULL,
        message_id INTEGER NOT NULL REFERENCES messages (id),
        PRIMARY KEY (access_key, name, email, idempotency_key)
    ) WITHOUT ROWID
"""

# The number of times that an interview's tokens were revoked. The interview is named as tokens name
# it, by its digest, so that a token is enough to find out whether it was revoked.
REVOCATIONS = """
    CREATE TABLE token_revocations (
        interview TEXT NOT NULL PRIMARY KEY,
        revocations INTEGER NOT NULL
    ) WITHOUT ROWID
"""

TYPES = {
    "id_type": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "text_type": "TEXT",
    "number_type": "REAL",
}


class MigrationError(Exception):
    """The file is not one that this version can use."""


def migrate(connection: sqlite3.Connection, closing_phrase: str) -> None:
    """Bring the database to `SCHEMA_VERSION`, all or nothing.

    Several processes may do so at once: one works, the others wait for it.

    Args:
        connection: In autocommit mode.
        closing_phrase: What ends an interview, for files that do not know which have ended.

    Raises:
        MigrationError: The file comes from a newer version, or has another `messages` table.

    """
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == 0:
            _to_version_1(connection, closing_phrase)
        if _version(connection) == 1:
            connection.execute(REVOCATIONS)
            connection.execute("PRAGMA user_version = 2")
        if _version(connection) == 2:
            _keep_one_prompt(connection)
            connection.execute("PRAGMA user_version = 3")
        if _version(connection) == 3:
            for statement in written_for(TABLES, **TYPES):
                connection.execute(statement)
            connection.execute("PRAGMA user_version = 4")
        if _version(connection) == 4:
            for statement in written_for(TABLES_OF_ROOMS, **TYPES):
                connection.execute(statement)
            connection.execute("PRAGMA user_version = 5")
        if _version(connection) == 5:
            for statement in written_for(TABLES_OF_RECORDS, **TYPES):
                connection.execute(statement)
            connection.execute("PRAGMA user_version = 6")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise MigrationError(
            f"it was written by a newer version of this service (its schema is {version}, "
            f"this one knows {SCHEMA_VERSION})."
        )
    return version


def _to_version_1(connection: sqlite3.Connection, closing_phrase: str) -> None:
    connection.execute(MESSAGES)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(messages)")}
    if not columns >= MESSAGES_COLUMNS:
        missing = ", ".join(sorted(MESSAGES_COLUMNS - columns))
        raise MigrationError(f"its table messages has no {missing}.")
    # The defaults let the service before this one still write to the file.
    for column in ("is_finished", "is_first"):
        if column not in columns:
            connection.execute(
                f"ALTER TABLE messages ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0"
            )
    connection.execute(INTERVIEW_INDEX)

    connection.create_function("to_utc", 1, _to_utc, deterministic=True)
    connection.execute("UPDATE messages SET date_created = to_utc(date_created)")
    # Clients take whoever is not `system` for the applicant.
    connection.execute(
        "UPDATE messages SET role = CASE role WHEN 'assistant' THEN 'system' ELSE 'user' END"
        " WHERE role NOT IN ('system', 'user')"
    )
    _put_in_order(connection)
    _mark_closing_messages(connection, closing_phrase)
    connection.execute(
        "UPDATE messages SET is_first = 1 WHERE id IN"
        " (SELECT MIN(id) FROM messages GROUP BY access_key, name, email)"
    )

    connection.execute(FIRST_TRIGGER)
    connection.execute(APPLICANTS_INDEX)
    connection.execute(FINISHED_INDEX)
    connection.execute(IDEMPOTENCY_KEYS)
    connection.execute("PRAGMA user_version = 1")


def _to_utc(local: str) -> str:
    """Return a local time as UTC, and text that is not a time unchanged."""
    try:
        moment = datetime.fromisoformat(local).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return local
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def _mark_closing_messages(connection: sqlite3.Connection, closing_phrase: str) -> None:
    """Mark the interviewer's messages that contain the closing phrase, and never a prompt.

    An older file's own marks are not kept, as there the prompt could count. Where two starts at
    once have stored the prompt twice, it does not count the second time either.
    """
    phrase = closing_phrase.casefold()
    connection.create_function(
        "is_closing", 1, lambda content: phrase in str(content).casefold(), deterministic=True
    )
    connection.execute("UPDATE messages SET is_finished = 0 WHERE is_finished <> 0")
    connection.execute(
        "UPDATE messages SET is_finished = 1 WHERE role = 'system' AND is_closing(content)"
        " AND content <> (SELECT prompt.content FROM messages AS prompt WHERE"
        " prompt.access_key = messages.access_key AND prompt.name = messages.name"
        " AND prompt.email = messages.email AND prompt.role = 'system' ORDER BY prompt.id LIMIT 1)"
    )


def _put_in_order(connection: sqlite3.Connection) -> None:
    """Let every interview begin with its prompt and a message of the interviewer.

    Where applicants wrote although the start had failed, one or both are missing before their
    words. An empty message takes the place, and is filled when the interview is started.
    """
    rows = connection.execute(
        "SELECT access_key, name, email, id, role FROM messages"
        " ORDER BY access_key, name, email, id"
    )
    orders = []
    for interview, messages in groupby(rows, key=lambda row: tuple(row[:3])):
        ids = [(id_, role) for *_, id_, role in messages]
        order = _order(ids)
        if order != [id_ for id_, _ in ids]:
            orders.append((interview, order))

    (next_id,) = connection.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM messages").fetchone()
    for interview, order in orders:
        (date_created,) = connection.execute(
            "SELECT MIN(date_created) FROM messages"
            " WHERE access_key = ? AND name = ? AND email = ?",
            interview,
        ).fetchone()
        for id_ in order:
            if id_ is None:
                connection.execute(
                    "INSERT INTO messages (id, content, date_created, role, is_finished,"
                    " access_key, name, email) VALUES (?, '', ?, 'system', 0, ?, ?, ?)",
                    (next_id, date_created, *interview),
                )
            else:
                connection.execute("UPDATE messages SET id = ? WHERE id = ?", (next_id, id_))
            next_id += 1


def _order(messages: list[tuple[int, str]]) -> list[int | None]:
    """Return the ids of an interview's messages in their new order, None for a missing message."""
    prompt = next((id_ for id_, role in messages if role == "system"), None)
    rest = [(id_, role) for id_, role in messages if id_ != prompt]
    order: list[int | None] = [prompt]
    if rest and rest[0][1] == "user":
        order.append(None)
    return order + [id_ for id_, _ in rest]


# The interviewer's messages that repeat the prompt, the oldest `system` message of the interview.
COPIES_OF_PROMPTS = """
    SELECT copy.access_key, copy.name, copy.email, copy.id FROM messages AS copy
    WHERE copy.role = 'system' AND copy.content <> '' AND EXISTS (
        SELECT 1 FROM (
            SELECT prompt.id, prompt.content FROM messages AS prompt
            WHERE prompt.access_key = copy.access_key AND prompt.name = copy.name
            AND prompt.email = copy.email AND prompt.role = 'system'
            ORDER BY prompt.id LIMIT 1
        ) AS prompt WHERE prompt.id < copy.id AND prompt.content = copy.content
    )
    ORDER BY copy.id
"""


def _keep_one_prompt(connection: sqlite3.Connection) -> None:
    """Move copies of a prompt out of the interview, where they passed for the interviewer's words.

    Two starts at once in the service before this one stored the prompt twice.
    """
    for *interview, id_ in connection.execute(COPIES_OF_PROMPTS).fetchall():
        if _stands_for_opening(connection, interview, id_):
            connection.execute(
                "INSERT INTO messages (content, date_created, role, access_key, name, email)"
                " SELECT content, date_created, 'aside', access_key, name, email"
                " FROM messages WHERE id = ?",
                (id_,),
            )
            connection.execute(
                "UPDATE messages SET content = '', is_finished = 0 WHERE id = ?", (id_,)
            )
        else:
            connection.execute(
                "UPDATE messages SET role = 'aside', is_finished = 0 WHERE id = ?", (id_,)
            )


def _stands_for_opening(connection: sqlite3.Connection, interview: list[str], copy: int) -> bool:
    """Return whether only the copy of the prompt stands between the prompt and the applicant.

    Then an empty message must take its place, as in `_put_in_order`.
    """
    neighbours = connection.execute(
        "SELECT role FROM messages WHERE access_key = ? AND name = ? AND email = ?"
        " AND role <> 'aside' AND id <> ? ORDER BY id LIMIT 2",
        (*interview, copy),
    ).fetchall()
    return neighbours == [("system",), ("user",)]
