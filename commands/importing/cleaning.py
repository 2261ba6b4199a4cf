"""Finding values that PostgreSQL cannot store in a snapshot of the file, and mending them."""

from __future__ import annotations

import sys
from typing import NamedTuple

import click

from storage.sqlite.driver import sqlite3

# Rows between two updates of a progress bar.
STEP = 1000

# The columns that say whose message it is, and their names in an error.
OWNER = {"access_key": "access key", "name": "name", "email": "e-mail address"}


class Unusable(NamedTuple):
    """A row of the file that PostgreSQL cannot store."""

    id: int
    reason: str

    def __str__(self) -> str:
        return f"message {self.id}: {self.reason}"


class Cleaned(NamedTuple):
    """The messages that had such values."""

    unusable: tuple[Unusable, ...]
    changed: frozenset[int]
    """The ids of messages that are not what they were: a scorecard no longer fits them."""


def clean(snapshot: sqlite3.Connection) -> Cleaned:
    """Make every value of the messages one that PostgreSQL can store, and return what was found.

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
    changed: dict[int, dict[str, object]] = {}
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
                changed[id_] = dict(zip(columns, map(_decoded, clean), strict=True))
    snapshot.executemany("DELETE FROM messages WHERE id = ?", removed)
    settings = ", ".join(f"{column} = :{column}" for column in columns)
    snapshot.executemany(
        f"UPDATE messages SET {settings} WHERE id = :id",
        ({"id": id_, **values} for id_, values in changed.items()),
    )
    if b"is_finished" in {row[1] for row in snapshot.execute("PRAGMA table_info(messages)")}:
        snapshot.execute("UPDATE messages SET is_finished = is_finished IS 1")
    snapshot.commit()
    return Cleaned(tuple(unusable), frozenset(changed))


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
