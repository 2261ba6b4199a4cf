"""The interface of a database, which SQLite and PostgreSQL each implement."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from storage.rows import InterviewKey


class Rows(Protocol):
    """What a query brings: a cursor, of which no more than this is used."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""


class Session(Protocol):
    """What queries are made with: one transaction, or single statements outside of one."""

    @property
    def one_interview(self) -> str:
        """The condition that finds one interview's rows by an index.

        Its parameters are `access_key`, `name` and `email`.
        """

    @property
    def one_access_key(self) -> str:
        """The condition that finds one access key's rows by an index."""

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query, whose parameters are written `:name`."""


class Database(Protocol):
    """Where the messages are, for all threads of a process: SQLite or PostgreSQL.

    Connections are opened when they are needed and used again. Before the first use none is open,
    so that a server may fork. What fails is raised as `DatabaseUnavailable`.
    """

    def reading(self) -> AbstractContextManager[Session]:
        """Give a session whose queries each read what is stored at that moment."""

    def transaction(self, interview: InterviewKey | None = None) -> AbstractContextManager[Session]:
        """Give a session in a transaction: once the block ends, all it stored survives a power cut.

        If it raises, nothing is stored. Nothing slow belongs inside: others wait meanwhile.

        Args:
            interview: The one that messages are added to. Until the transaction ends no other
                transaction has it, and what is read of it is what is stored.

        """

    def check_writable(self) -> None:
        """Write something that changes nothing.

        Raises:
            DatabaseUnavailable: The database cannot be read, or not written.

        """

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
