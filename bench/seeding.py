"""Interviews that are in the database before the service starts."""

from pathlib import Path

from bench.applicants import TURN
from bench.harness import ENDLESS
from config import Config
from db import InterviewKey, open_database
from storage.sqlite.connections import connect


def bench_config(path: Path) -> Config:
    """Return the settings of a database in the file."""
    return Config(openai_api_key="bench", database_url=f"sqlite:///{path}", closing_phrase=ENDLESS)


def seed(path: Path, label: str, interviews: int, messages: int, *, finished: bool = False) -> None:
    """Write interviews of so many messages each, prompt included, into a file of the service."""
    open_database(bench_config(path)).close()
    connection = connect(path, 60)
    connection.execute("PRAGMA synchronous = OFF")  # only while it is made
    connection.execute("BEGIN")
    for interview in range(interviews):
        key = InterviewKey("seeded", f"{label} {interview}", "a@example.com")
        connection.executemany(
            "INSERT INTO messages"
            " (role, content, date_created, is_finished, access_key, name, email)"
            " VALUES (?, ?, '2026-01-01 12:00:00.000000', ?, ?, ?, ?)",
            (
                (
                    "user" if number and number % 2 == 0 else "system",
                    TURN,
                    int(finished and number == messages - 1),
                    *key,
                )
                for number in range(messages)
            ),
        )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
