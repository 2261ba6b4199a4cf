"""A SQLite file's interviews, copied into PostgreSQL: all or nothing, and safe to repeat.

The work is done on a snapshot of the file, which is cleaned of what PostgreSQL cannot store and
brought up to date like any old file.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from commands.backup import BackupError, back_up
from config import Config, StartError, load
from db import InterviewKey, open_database
from storage.sqlite.driver import sqlite3

if TYPE_CHECKING:  # loaded when it is used: the other commands do without
    from psycopg import Connection, Cursor

# Interviews that an error names.
NAMED = 20

# Rows between two updates of a progress bar.
STEP = 1000

# The columns that say whose message it is, and their names in an error.
OWNER = {"access_key": "access key", "name": "name", "email": "e-mail address"}

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
# Greater than all ids in the database, in the file's order, so that an interview's ids ascend.
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
    """The reason why nothing was imported: a sentence, or a list."""


class Unusable(NamedTuple):
    """A row of the file that PostgreSQL cannot store."""

    id: int
    reason: str

    def __str__(self) -> str:
        return f"message {self.id}: {self.reason}"


class Imported(NamedTuple):
    """The result. Interviews that were there before may have been continued."""

    interviews: int
    messages: int
    were_there: int
    skipped: tuple[Unusable, ...] = ()


def import_file(file: Path, config: Config, *, skip: bool = False) -> Imported:
    """Copy the interviews of a SQLite file into the PostgreSQL database of `config`.

    The file is not changed, and may be in use. Of an interview that exists in the database already
    only what is missing at its end is copied. While the rows are merged, the service can read and
    not write.

    Args:
        file: A database of this service, or of its predecessor.
        config: With the PostgreSQL database's URL.
        skip: Whether to leave out what PostgreSQL cannot store. The place of a message whose owner
            is known stays as an empty message, so that the others keep theirs.

    Raises:
        ImportingError: The interviews differ from the database's, or another reason; nothing was
            imported.
        StartError: One of the databases cannot be used.

    """
    open_database(config).close()
    import psycopg

    with tempfile.TemporaryDirectory() as folder:
        snapshot = Path(folder) / "snapshot.db"
        try:
            back_up(file, snapshot)
            with closing(sqlite3.connect(snapshot)) as source:
                unusable = _clean(source)
            if unusable and not skip:
                raise ImportingError(_listed(unusable))
            # Brings the snapshot, not the file, up to date.
            open_database(replace(config, database_url=f"sqlite:///{snapshot}")).close()
            with (
                closing(sqlite3.connect(snapshot)) as source,
                psycopg.connect(config.database_url, prepare_threshold=None) as target,
            ):
                # Each statement sees what others have committed, whatever the server's default.
                target.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
                return _copy(source, target)._replace(skipped=unusable)
        except (BackupError, psycopg.Error, sqlite3.Error) as error:
            reason = str(error).partition("\n")[0]
            raise ImportingError(f"Nothing was imported: {reason}") from error


def _clean(snapshot: sqlite3.Connection) -> tuple[Unusable, ...]:
    """Make every value of the messages one that PostgreSQL can store, and return what cannot be.

    SQLite stores values of any type in any column, and the predecessor checked little. Numbers and
    BLOBs become text. NUL, the one character that PostgreSQL cannot store, becomes the one that
    stands for a character that was lost.
    """
    for column in ("content", "role", *OWNER):
        snapshot.execute(
            f"UPDATE messages SET {column} = CAST({column} AS TEXT)"
            f" WHERE typeof({column}) NOT IN ('text', 'null')"
        )
    # A number stays what it is, so that it is not taken for a time.
    snapshot.execute(
        "UPDATE messages SET date_created = COALESCE(CAST(date_created AS TEXT), '')"
        " WHERE typeof(date_created) IN ('blob', 'null')"
    )
    # Clients take everyone who is not `system` for the applicant.
    snapshot.execute("UPDATE messages SET role = 'user' WHERE role IS NULL")

    snapshot.text_factory = bytes  # text that is not UTF-8 would be an error
    columns = ("content", "date_created", "role", *OWNER)
    changed: list[dict[str, object]] = []
    removed: list[tuple[int]] = []
    unusable: list[Unusable] = []
    (count,) = snapshot.execute("SELECT COUNT(*) FROM messages").fetchone()
    rows = snapshot.execute(f"SELECT id, {', '.join(columns)} FROM messages ORDER BY id")
    with click.progressbar(
        rows, length=count, label="Checking", file=sys.stderr, update_min_steps=STEP
    ) as bar:
        for id_, *stored in bar:
            values = dict(zip(columns, stored, strict=True))
            faults = {
                column: fault
                for column in ("content", *OWNER)
                if (fault := _fault(values[column])) is not None
            }
            unusable += [
                Unusable(id_, f"its {OWNER.get(column, column)} is {fault}")
                for column, fault in faults.items()
            ]
            if faults.keys() & OWNER.keys():
                removed.append((id_,))
                continue
            if faults:
                values["content"] = b""
            clean = [_storable(value) for value in values.values()]
            if clean != stored:
                changed.append({"id": id_, **dict(zip(columns, map(_decoded, clean), strict=True))})
    snapshot.executemany("DELETE FROM messages WHERE id = ?", removed)
    settings = ", ".join(f"{column} = :{column}" for column in columns)
    snapshot.executemany(f"UPDATE messages SET {settings} WHERE id = :id", changed)
    if b"is_finished" in {row[1] for row in snapshot.execute("PRAGMA table_info(messages)")}:
        snapshot.execute("UPDATE messages SET is_finished = is_finished IS 1")
    snapshot.commit()
    return tuple(unusable)


def _fault(text: bytes | None) -> str | None:
    """Return why the text cannot be stored, or None if it can be."""
    if text is None:
        return "NULL"
    try:
        text.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _storable(value: bytes | float) -> bytes | float:
    """Return a value in which NUL, and bytes that are not UTF-8, are U+FFFD."""
    if isinstance(value, bytes):
        return value.decode(errors="replace").replace("\0", "\ufffd").encode()
    return value


def _decoded(value: bytes | float) -> str | float:
    return value.decode() if isinstance(value, bytes) else value


def _listed(unusable: tuple[Unusable, ...]) -> str:
    rows = "\n".join(f"  {row}" for row in unusable)
    return (
        f"Nothing was imported: PostgreSQL cannot store these messages of the file"
        f" (--skip leaves them out):\n{rows}"
    )


def _copy(source: sqlite3.Connection, target: Connection[Any]) -> Imported:
    from storage.postgres.schema import IMPORT_LOCK

    with target.transaction(), target.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        cursor.execute(TABLES)
        count = _send(source, cursor)
        cursor.execute(PLACES)
        cursor.execute("ANALYZE incoming")
        # The first lock keeps the service's transactions from beginning, so that none decides by
        # what it has read before the import; the second keeps everyone else from writing.
        cursor.execute(f"SELECT pg_advisory_xact_lock({IMPORT_LOCK})".encode())
        cursor.execute("LOCK TABLE messages IN SHARE ROW EXCLUSIVE MODE")
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


def _send(source: sqlite3.Connection, cursor: Cursor[Any]) -> int:
    """Send the file's rows to the temporary tables, and return the number of messages."""
    count: int = source.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
    rows = source.execute(
        "SELECT id, content, CAST(date_created AS TEXT), role, access_key, name, email,"
        " is_finished FROM messages ORDER BY id"
    )
    columns = "old_id, content, date_created, role, access_key, name, email, is_finished"
    with click.progressbar(
        rows, length=count, label="Sending", file=sys.stderr, update_min_steps=STEP
    ) as bar:
        _send_all(cursor, f"COPY incoming ({columns}) FROM STDIN", bar)
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
        # The trigger would take a lock for each interview, and a server has room for some
        # thousands. INSERT marks the first messages instead; nothing else can write meanwhile.
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
@click.option("--skip", is_flag=True, help="Leave out, and name, what PostgreSQL cannot store.")
def import_sqlite(file: Path, skip: bool) -> None:
    """Import the file, and print what was imported."""
    try:
        imported = import_file(file, _target(), skip=skip)
    except (ImportingError, StartError) as error:
        raise click.ClickException(str(error)) from error
    for row in imported.skipped:
        click.echo(f"Skipped {row}", err=True)
    click.echo(
        f"{imported.interviews} interviews imported, {imported.were_there} were there already;"
        f" {imported.messages} messages in all."
    )
