"""A SQLite file's interviews, copied into PostgreSQL: all or nothing, and safe to do again."""

import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg
from psycopg import Connection, Cursor

from commands.backup import BackupError, back_up
from commands.progress import Progress, progress_bar
from config import Config, StartError, load
from db import InterviewKey, open_database
from storage.postgres.database import open_postgres
from storage.sqlite.driver import sqlite3

# Interviews that an error names.
NAMED = 20

TABLES = """
    CREATE TEMPORARY TABLE incoming (
        old_id BIGINT PRIMARY KEY, content TEXT, date_created TEXT, role TEXT,
        access_key TEXT COLLATE "C", name TEXT COLLATE "C", email TEXT COLLATE "C",
        is_finished INTEGER, place BIGINT, new_id BIGINT
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE incoming_keys (
        access_key TEXT, name TEXT, email TEXT, idempotency_key TEXT, request TEXT, old_id BIGINT
    ) ON COMMIT DROP;
    CREATE TEMPORARY TABLE incoming_revocations (
        interview TEXT, revocations INTEGER
    ) ON COMMIT DROP
"""

# What is there of the same interviews, each message with its place in its interview.
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
# Above all ids that are there, in the file's order, so that an interview's still ascend.
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
    FROM incoming WHERE new_id > %(before)s ORDER BY new_id
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
    SELECT COUNT(*) FROM incoming JOIN messages ON id = new_id
    AND messages.content = incoming.content AND messages.email = incoming.email
"""


class ImportingError(Exception):
    """Why nothing was imported: a sentence, or a list, for whoever imports."""


class Imported(NamedTuple):
    """What has been done. Interviews that were there, and have grown in the file, are continued."""

    interviews: int
    messages: int
    were_there: int


def import_file(file: Path, config: Config, progress: Progress) -> Imported:
    """Copy the interviews of a SQLite file into the PostgreSQL database of `config`.

    The file stays as it is, and may be in use. Of an interview that is there already only what is
    missing at its end is copied. While it runs, the service can read and not write.

    Args:
        file: Of this service, or of the one before it.
        config: With the PostgreSQL database's URL.
        progress: Called with messages sent, and messages in all.

    Raises:
        ImportingError: Interviews of both differ, or something else is in the way; nothing was
            imported.
        StartError: One of the databases cannot be used.

    """
    open_postgres(config).close()
    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.db"
        try:
            back_up(file, snapshot, lambda *_: None)
            # Brings the copy, not the file, up to date.
            open_database(replace(config, database_url=f"sqlite:///{snapshot}")).close()
            with (
                closing(sqlite3.connect(snapshot)) as source,
                psycopg.connect(config.database_url, prepare_threshold=None) as target,
            ):
                return _copy(source, target, progress)
        except (BackupError, psycopg.Error, sqlite3.Error) as error:
            reason = str(error).partition("\n")[0]
            raise ImportingError(f"Nothing was imported: {reason}") from error


def _copy(source: sqlite3.Connection, target: Connection[Any], progress: Progress) -> Imported:
    with target.transaction(), target.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        cursor.execute("LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(TABLES)
        count = _send(source, cursor, progress)
        cursor.execute(PLACES)
        cursor.execute("ANALYZE incoming")
        cursor.execute(PRESENT)
        cursor.execute(CLASHES)
        _refuse(cursor.fetchall())
        cursor.execute(KNOWN_IDS)
        imported = _store(cursor)
        cursor.execute(INSERT_KEYS)
        cursor.execute(INSERT_REVOCATIONS)
        cursor.execute(ARRIVED)
        if cursor.fetchone() != (count,):
            raise ImportingError("Nothing was imported: not every message arrived.")
    return imported


def _send(source: sqlite3.Connection, cursor: Cursor[Any], progress: Progress) -> int:
    """Send the file's rows to the temporary tables, and return how many messages there are."""
    count: int = source.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
    rows = source.execute(
        "SELECT id, content, CAST(date_created AS TEXT), role, access_key, name, email,"
        " is_finished FROM messages ORDER BY id"
    )
    columns = "old_id, content, date_created, role, access_key, name, email, is_finished"
    with cursor.copy(f"COPY incoming ({columns}) FROM STDIN") as copy:
        for sent, (id_, content, *rest) in enumerate(rows, 1):
            # NUL, which the service before this one took, is the one character that PostgreSQL does
            # not; in its place comes the one that stands for a character that could not be kept.
            copy.write_row((id_, content.replace("\0", "\ufffd"), *rest))
            if sent % 1000 == 0:
                progress(sent, count)
    progress(count, count)
    _send_all(
        cursor,
        "COPY incoming_keys FROM STDIN",
        source.execute(
            "SELECT access_key, name, email, idempotency_key, request, message_id"
            " FROM idempotency_keys"
        ),
    )
    _send_all(
        cursor,
        "COPY incoming_revocations FROM STDIN",
        source.execute("SELECT interview, revocations FROM token_revocations"),
    )
    return count


def _send_all(cursor: Cursor[Any], statement: str, rows: Iterable[Any]) -> None:
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _refuse(clashes: list[tuple[str, str, str]]) -> None:
    if not clashes:
        return
    listed = "\n".join(f"  {' / '.join(InterviewKey(*clash))}" for clash in clashes[:NAMED])
    more = f"\n  and {len(clashes) - NAMED} more" if len(clashes) > NAMED else ""
    raise ImportingError(
        f"Nothing was imported: {len(clashes)} interviews (access key / name / e-mail) are in the"
        f" database with other messages than in the file:\n{listed}{more}"
    )


def _store(cursor: Cursor[Any]) -> Imported:
    cursor.execute("SELECT COUNT(*) FROM incoming WHERE new_id IS NULL")
    (messages,) = cursor.fetchone() or (0,)
    cursor.execute("SELECT COUNT(*) FROM incoming WHERE place = 1 AND new_id IS NOT NULL")
    (were_there,) = cursor.fetchone() or (0,)
    cursor.execute("SELECT COUNT(*) FROM incoming WHERE place = 1")
    (interviews,) = cursor.fetchone() or (0,)
    if messages:
        cursor.execute("SELECT nextval('messages_id_seq')")
        (before,) = cursor.fetchone() or (0,)
        cursor.execute("SELECT setval('messages_id_seq', %s)", [before + messages])
        cursor.execute(NEW_IDS, {"before": before})
        # It would take a lock for each interview, of which a server has some thousands in all. What
        # it marks is marked here; nobody else can write meanwhile.
        cursor.execute("ALTER TABLE messages DISABLE TRIGGER messages_first")
        cursor.execute(INSERT, {"before": before})
        cursor.execute("ALTER TABLE messages ENABLE TRIGGER messages_first")
    return Imported(interviews - were_there, messages, were_there)


def _target() -> Config:
    config = load(asks_model=False)
    if not config.is_postgresql:
        raise StartError("DATABASE_URL must name the PostgreSQL database to import into.")
    return config


@click.command(
    help="Copy the interviews of an SQLite FILE into the PostgreSQL database of DATABASE_URL."
)
@click.argument("file", type=click.Path(path_type=Path))
def import_sqlite(file: Path) -> None:
    """Import the file and say what came of it."""
    try:
        config = _target()
        with progress_bar("Importing") as progress:
            imported = import_file(file, config, progress)
    except (ImportingError, StartError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{imported.interviews} interviews imported, {imported.were_there} were there already;"
        f" {imported.messages} messages in all."
    )
