"""The interface of a database, which SQLite and PostgreSQL each implement."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from storage.rows import InterviewKey


class Rows(Protocol):
    """The rows that a query returns: the part of a cursor that is used."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""


class Session(Protocol):
    """A way to run queries: in one transaction, or as single statements outside of one."""

    @property
    def one_interview(self) -> str:
        """The condition that finds one interview's rows by an index.

        Its parameters are `access_key`, `name` and `email`.
        """

    @property
    def one_access_key(self) -> str:
        """The condition that finds one access key's rows by an index."""

    @property
    def skip_locked(self) -> str:
        """The end of a `SELECT` that locks its rows, and skips those that others have locked."""

    @property
    def now(self) -> str:
        """The expression of the database's own time, in seconds since 1970."""

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        """Run a query, whose parameters are written `:name`."""

    def keep_out(self, table: str) -> None:
        """Let no other transaction write to the table until this one ends."""

    def forget_samples(self, table: str, texts: Collection[str]) -> None:
        """Let the database forget samples of deleted rows that it keeps to plan queries by.

        Args:
            table: The table that the rows were in.
            texts: The texts that were in them.

        """


class Database(Protocol):
    """A database, SQLite or PostgreSQL, for all threads of a process.

    Connections are opened when they are needed and used again. None is open before the first use,
    so that a server may fork. Failures of the database are raised as `DatabaseUnavailable`.
    """

    @property
    def must_be_wiped(self) -> bool:
        """Whether deleted rows leave something in files that `wipe()` looks after."""

    def reading(self) -> AbstractContextManager[Session]:
        """Give a session whose queries each read what is stored at that moment."""

    def snapshot(self) -> AbstractContextManager[Session]:
        """Give a session whose queries all read what is stored when the first of them is run.

        It writes nothing. Nothing slow belongs inside: on SQLite the log of writes cannot be
        shortened meanwhile.
        """

    def transaction(self, interview: InterviewKey | None = None) -> AbstractContextManager[Session]:
        """Give a session in a transaction. Once the block ends, it is committed and on the disk.

        If the block raises, nothing is stored. Nothing slow belongs inside, as others wait.

        Args:
            interview: The interview that messages are added to. No other transaction changes it
                until this one ends.

        """

    def check_writable(self) -> None:
        """Write something that changes nothing.

        Raises:
            DatabaseUnavailable: The database cannot be read, or not written.

        """

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        """Return once the database's files hold nothing of what was deleted before.

        Where a server looks after the files, it returns at once.

        Args:
            patience: Seconds until it is given up.
            thoroughly: Whether this is the first time for the database.

        Raises:
            DatabaseUnavailable: It was not done in time. Others may have been in the way, so that
                it can be tried again.

        """

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
