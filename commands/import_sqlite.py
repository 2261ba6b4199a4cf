"""A SQLite file's interviews and all that belongs to them, copied into PostgreSQL.

All or nothing, and safe to repeat. The work is done on a snapshot of the file, which is cleaned of
what PostgreSQL cannot store and brought up to date like any old file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from commands.backup import BackupError, back_up
from commands.importing.cleaning import Unusable, clean
from commands.importing.errors import ImportingError, listed
from commands.importing.messages import send_messages, store_messages
from commands.importing.tables import (
    TABLES,
    Stored,
    remove_unfit,
    renumber_notes,
    send_tables,
    store_tables,
)
from config import Config, StartError, load
from db import open_database
from storage.sqlite.driver import sqlite3

if TYPE_CHECKING:  # loaded when it is used: the other commands do without
    from psycopg import Connection

# In the order in which the service's background work locks them, lest the two wait for each other.
LOCKED = ", ".join(("messages", *(table.name for table in TABLES)))


class Imported(NamedTuple):
    """The result. Interviews that were there before may have been continued."""

    interviews: int
    messages: int
    were_there: int
    others: tuple[Stored, ...] = ()
    """Counts of the file's other rows, by their table."""
    skipped: tuple[str, ...] = ()
    """Parts of the file that were left out, each with its reason."""


def import_file(file: Path, config: Config, *, skip: bool = False) -> Imported:
    """Copy all that a SQLite file holds into the PostgreSQL database of `config`.

    The file is not changed, and may be in use. Of what exists in the database already only what is
    new is copied. While the rows are merged, the service can read and not write.

    Args:
        file: A database of this service, or of its predecessor.
        config: With the PostgreSQL database's URL.
        skip: Whether to leave out what cannot be imported. The place of a message whose owner is
            known stays as an empty message, so that the others keep theirs. The scorecards of an
            interview whose messages cannot all keep their ids and their words are left out.

    Raises:
        ImportingError: The file differs from the database, or another reason; nothing was
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
                unusable, changed = clean(source)
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
                imported = _copy(source, target, changed, skip=skip)
                return imported._replace(skipped=(*map(str, unusable), *imported.skipped))
        except (BackupError, psycopg.Error, sqlite3.Error) as error:
            reason = str(error).partition("\n")[0]
            raise ImportingError(f"Nothing was imported: {reason}") from error


def _listed(unusable: tuple[Unusable, ...]) -> str:
    rows = "\n".join(f"  {row}" for row in unusable)
    return (
        f"Nothing was imported: PostgreSQL cannot store these messages of the file"
        f" (--skip leaves them out):\n{rows}"
    )


def _copy(
    source: sqlite3.Connection, target: Connection[Any], changed: Collection[int], *, skip: bool
) -> Imported:
    from storage.postgres.schema import IMPORT_LOCK

    with target.transaction(), target.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL lock_timeout = '60s'")
        send_messages(source, cursor, changed)
        send_tables(source, cursor)
        # The first lock keeps the service's transactions from beginning, so that none decides by
        # what it has read before the import; the second keeps everyone else from writing.
        cursor.execute(f"SELECT pg_advisory_xact_lock({IMPORT_LOCK})".encode())
        cursor.execute(f"LOCK TABLE {LOCKED} IN SHARE ROW EXCLUSIVE MODE".encode())
        counts = store_messages(cursor)
        unfit = remove_unfit(cursor)
        if unfit and not skip:
            raise ImportingError(
                listed(
                    f"Nothing was imported: the scorecards of {len(unfit)} interviews (access key"
                    " / name / e-mail) name messages by ids that others have in the database, or"
                    " whose words it cannot store (--skip leaves these scorecards out)",
                    unfit,
                )
            )
        renumber_notes(cursor)
        others = store_tables(source, cursor)
    skipped = tuple(f"the scorecards of {' / '.join(interview)}" for interview in unfit)
    return Imported(*counts, others, skipped)


def _target() -> Config:
    config = load(asks_model=False)
    if not config.is_postgresql:
        raise StartError("DATABASE_URL must name the PostgreSQL database to import into.")
    return config


@click.command(
    help="Copy the interviews, positions and scorecards of an SQLite FILE into the PostgreSQL"
    " database of DATABASE_URL."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--skip", is_flag=True, help="Leave out, and name, what cannot be imported.")
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
    if imported.others:
        click.echo(f"Besides: {', '.join(map(str, imported.others))}.")
