"""A copy of the SQLite database, consistent while the service writes, and checked."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.progress import Progress, progress_bar
from config import APP_FOLDER, StartError, load
from storage.sqlite.database import path_of
from storage.sqlite.driver import sqlite3
from storage.sqlite.files import create_private

# Pages of 4 KB between two looks at the progress.
STEP = 1000

# Seconds to wait for a database that is locked at the moment.
LOCK_TIMEOUT = 30.0


class BackupError(Exception):
    """Why there is no copy: one sentence for whoever wants one."""


def back_up(source: Path, target: Path, progress: Progress) -> int:
    """Copy the database as it is now, and return how many messages the copy holds.

    In a write-ahead log the service writes on meanwhile. Where SQLite is too old for one, writing
    waits until the copy is there.

    Args:
        source: The database.
        target: The copy; it appears under its name once it is whole and on the disk.
        progress: Called with pages done, and pages in all.

    Raises:
        BackupError: There is no database, something is in the copy's place, or the disk is full.

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
        messages = _copy(source, part, progress)
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


def _copy(source: Path, part: Path, progress: Progress) -> int:
    # As it is, in whatever mode; nothing of it is changed.
    original = sqlite3.connect(source, timeout=LOCK_TIMEOUT, isolation_level=None)
    copy = sqlite3.connect(part)
    try:
        # An open read transaction keeps the moment: SQLite would otherwise begin again whenever the
        # service has written.
        original.execute("BEGIN")
        counted = _count(original)
        original.backup(
            copy, pages=STEP, progress=lambda _, left, total: progress(total - left, total)
        )
        original.execute("COMMIT")
        # The copy is one file, without a log beside it; the service sets the mode that it wants.
        copy.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok" or _count(copy) != counted:
            raise BackupError(f"The copy is not what was copied ({verdict}); it was thrown away.")
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
    """Make the copy and say what it holds."""
    try:
        source = _source()
        moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        target = file or APP_FOLDER / "backups" / f"{source.stem}-{moment}.db"
        with progress_bar("Copying") as progress:
            messages = back_up(source, target, progress)
    except (BackupError, StartError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{messages} messages in {target}, checked.")
