"""What is left of somebody: in the rows of every table, and in the bytes of an SQLite file."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from api import ANA, Answer, Api, Applicant
from db import Database, InterviewKey, Session
from storage.sqlite.driver import sqlite3

# An SQLite file, and what is beside it.
ENDS = ("", "-wal", "-shm", "-journal", "-lock")


def erase(api: Api, applicant: Applicant = ANA, **arguments: Any) -> Answer:
    return api.send("DELETE", f"/interviews/{applicant.path}", **arguments)


def erased(api: Api, applicant: Applicant = ANA, **arguments: Any) -> Any:
    """The receipt of an erasure that has succeeded."""
    answer = erase(api, applicant, **arguments)
    assert answer.status == 200, answer
    return answer.body


def key_of(applicant: Applicant = ANA) -> InterviewKey:
    return InterviewKey(applicant.access_key, applicant.name, applicant.email)


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def all_bytes(path: Path) -> bytes:
    """Every byte of an SQLite file and of what is beside it."""
    files = [path.with_name(path.name + end) for end in ENDS]
    return b"".join(file.read_bytes() for file in files if file.exists())


def tables(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(path_of(url))) as connection:
            names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            return {
                name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
                for (name,) in names.fetchall()
            }
    with psycopg.connect(url) as server:
        found = server.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        rows = {
            name: server.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()
            for (name,) in found.fetchall()
        }
        # What ANALYZE has taken of the columns is rows of the server's own.
        samples = "SELECT * FROM pg_stats WHERE schemaname = current_schema()"
        return {**rows, "pg_stats": server.execute(samples).fetchall()}


def traces(url: str, *words: str) -> set[str]:
    """Those of the words that are found anywhere."""
    if url.startswith("sqlite"):
        everything = all_bytes(path_of(url))
    else:
        everything = "\n".join(
            "\t".join(map(str, row)) for rows in tables(url).values() for row in rows
        ).encode()
    return {
        word
        for word in words
        if any(form in everything for form in (word.encode(), json.dumps(word)[1:-1].encode()))
    }


class Interrupted(Database):
    """A database in whose use something else happens, before the step of this number.

    Each session is a step; the first one has the number 1.
    """

    def __init__(self, database: Database, step: int, happen: Callable[[], object]) -> None:
        self._database = database
        self._left = step
        self._happen = happen

    @property
    def must_be_wiped(self) -> bool:
        return self._database.must_be_wiped

    @property
    def has_happened(self) -> bool:
        return self._left <= 0

    def reading(self) -> AbstractContextManager[Session]:
        return self._interrupted(self._database.reading)

    def snapshot(self) -> AbstractContextManager[Session]:
        return self._interrupted(self._database.snapshot)

    def transaction(self, interview: InterviewKey | None = None) -> AbstractContextManager[Session]:
        return self._interrupted(lambda: self._database.transaction(interview))

    @contextmanager
    def _interrupted(
        self, begin: Callable[[], AbstractContextManager[Session]]
    ) -> Iterator[Session]:
        self._left -= 1
        if self._left == 0:
            self._happen()
        with begin() as session:
            yield session

    def check_writable(self) -> None:
        self._database.check_writable()

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        self._database.wipe(patience, thoroughly=thoroughly)

    def close(self) -> None:
        self._database.close()
