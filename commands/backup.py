"""A copy of the SQLite database, consistent while the service writes, and checked."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from config import APP_FOLDER, StartError, load
from storage.sqlite.database import path_of
from storage.sqlite.driver import sqlite3
from storage.sqlite.files import create_private

# Pages of 4 KB between two updates of the progress bar.
STEP = 1000

# Seconds to wait for a database that is locked at the moment.
LOCK_TIMEOUT = 30.0

# Reports of SQLite's check on values in files of the predecessor's that are no damage.
UNUSUAL_VALUE = re.compile(r"\w+ value in \w+\.\w+$")


class BackupError(Exception):
    """The reason, in one sentence, why there is no copy."""


def back_up(source: Path, target: Path) -> int:
    """Copy the database as it is now, and return the number of messages in the copy.

    With a write-ahead log the service can write meanwhile. Where SQLite is too old for one, writing
    waits until the copy is complete.

    Args:
        source: The database.
        target: The copy; it appears under its name once it is complete and synced.

    Raises:
        BackupError: There is no database, the target exists, or the disk is full.

    """
    if not source.exists():
        raise BackupError(f"There is no database {source}.")
    if target.exists():
        raise BackupError(f"{target} exists already, and is left as it is.")
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        create_private(part)
        messages = _copy(source, part)
        _sync(part)
        part.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"The copy failed: {error}. Nothing was left behind.") from error
    finally:
        part.unlink(missing_ok=True)
    return messages


def _source() -> Path:
    config = load(asks_model=False)
    if config.is_postgresql:
        raise BackupError("This is for SQLite. PostgreSQL brings pg_dump.")
    return path_of(config.database_url)


def _copy(source: Path, part: Path) -> int:
    # Opened without the service's settings, so that its journal mode stays as it is.
    original = sqlite3.connect(source, timeout=LOCK_TIMEOUT, isolation_level=None)
    copy = sqlite3.connect(part)
    try:
        # Inside a read transaction the copy shows one moment; otherwise SQLite would begin again
        # whenever the service has written.
        original.execute("BEGIN")
        counted = _count(original)
        (pages,) = original.execute("PRAGMA page_count").fetchone()
        with click.progressbar(length=pages, label="Copying", file=sys.stderr) as bar:
            original.backup(
                copy,
                pages=STEP,
                progress=lambda _, left, total: bar.update(total - left - bar.pos),
            )
        original.execute("COMMIT")
        # Makes the copy a single file; the service sets its own journal mode when it opens it.
        copy.execute("PRAGMA journal_mode = DELETE")
        faults = [
            fault
            for (fault,) in copy.execute("PRAGMA integrity_check")
            if fault != "ok" and not UNUSUAL_VALUE.match(fault)
        ]
        if faults or _count(copy) != counted:
            found = faults[0] if faults else "another number of messages"
            raise BackupError(f"The copy is damaged ({found}); it was removed.")
    finally:
        copy.close()
        original.close()
    return counted


def _count(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT COUNT(*) FROM messages").fetchone()[0]
    return count


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@click.command(help="Copy the SQLite database while the service runs: to FILE, or into backups/.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def backup(file: Path | None) -> None:
    """Make the copy, and print what it holds."""
    try:
        source = _source()
        moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        target = file or APP_FOLDER / "backups" / f"{source.stem}-{moment}.db"
        messages = back_up(source, target)
    except (BackupError, StartError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{messages} messages in {target}, checked.")
