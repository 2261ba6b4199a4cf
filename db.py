"""The messages in SQLite: connection, schema, migrations and every query.

Contains no interview logic: `interview.py` decides what is stored when. Rows leave as plain values,
and SQLite's errors as `DatabaseUnavailable`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

from config import APP_FOLDER, Config, StartError
from errors import DatabaseUnavailable
from migrations import SCHEMA_VERSION, MigrationError, migrate
from process_lock import ProcessLock

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

log = logging.getLogger(__name__)

# Seconds that a starting worker waits for another one that is migrating a large file.
MIGRATION_TIMEOUT = 600.0

# Errors after which a connection is as good as before.
PASSING_ERRORS = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")

Role = Literal["system", "user"]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


class InterviewKey(NamedTuple):
    """Which interview: one applicant under one access key."""

    access_key: str
    name: str
    email: str

    def digest(self) -> str:
        """Return what stands for the interview where nobody's name must be, in 64 characters."""
        # None of the three can hold NUL, so that no two interviews look the same.
        return sha256("\0".join(self).encode()).hexdigest()


class Message(NamedTuple):
    """A stored message.

    The oldest `system` message of an interview is the prompt, the later ones are the
    interviewer's; `user` is the applicant. `date_created` is UTC, `YYYY-MM-DD HH:MM:SS.ffffff`.
    """

    id: int
    role: Role
    content: str
    date_created: str
    is_finished: int
    """1 for what the interviewer closed the interview with, 0 for all else."""


class Applicant(NamedTuple):
    """Who was interviewed under an access key."""

    name: str
    email: str
    is_finished: bool


class Messages:
    """The queries, over one connection."""

    def __init__(self, connection: "sqlite3.Connection") -> None:
        self._connection = connection

    def of(self, interview: InterviewKey) -> list[Message]:
        """Return every message of the interview, oldest first."""
        rows = self._connection.execute(
            # An old file may hold a number for a time.
            "SELECT id, role, content, CAST(date_created AS TEXT), is_finished FROM messages"
            " WHERE access_key = ? AND name = ? AND email = ? AND role <> 'aside' ORDER BY id",
            interview,
        )
        return list(map(Message._make, rows))

    def last_id(self, interview: InterviewKey) -> int | None:
        """Return the id of the interview's newest message."""
        row = self._connection.execute(
            "SELECT MAX(id) FROM messages"
            " WHERE access_key = ? AND name = ? AND email = ? AND role <> 'aside'",
            interview,
        ).fetchone()
        return row[0] if row else None

    def add(
        self, interview: InterviewKey, role: Role, content: str, *, is_finished: bool = False
    ) -> Message:
        """Store a message at the interview's end."""
        now = _now()
        (id_,) = self._connection.execute(
            "INSERT INTO messages"
            " (role, content, date_created, is_finished, access_key, name, email)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (role, content, now, int(is_finished), *interview),
        ).fetchone()
        return Message(id_, role, content, now, int(is_finished))

    def fill(self, message_id: int, content: str, *, is_finished: bool = False) -> None:
        """Give a message that stands for one that was never sent its words."""
        self._connection.execute(
            "UPDATE messages SET content = ?, date_created = ?, is_finished = ? WHERE id = ?",
            (content, _now(), int(is_finished), message_id),
        )

    def set_aside(self, interview: InterviewKey, message: Message) -> None:
        """Keep the message's words outside the interview, before they are overwritten in it."""
        self._connection.execute(
            "INSERT INTO messages"
            " (role, content, date_created, is_finished, access_key, name, email)"
            " VALUES ('aside', ?, ?, 0, ?, ?, ?)",
            (message.content, message.date_created, *interview),
        )

    def of_key(self, interview: InterviewKey, idempotency_key: str) -> tuple[str, int] | None:
        """Return the request that came with the key, and the id of the message it brought."""
        row = self._connection.execute(
            "SELECT request, message_id FROM idempotency_keys"
            " WHERE access_key = ? AND name = ? AND email = ? AND idempotency_key = ?",
            (*interview, idempotency_key),
        ).fetchone()
        return (row[0], row[1]) if row else None

    def remember_key(
        self, interview: InterviewKey, idempotency_key: str, request: str, message_id: int
    ) -> None:
        """Store which request came with the key, and which message it brought."""
        self._connection.execute(
            "INSERT INTO idempotency_keys"
            " (access_key, name, email, idempotency_key, request, message_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*interview, idempotency_key, request, message_id),
        )

    def revocations(self, interview: str) -> int:
        """Return how often the interview's tokens were revoked; it is named by its digest."""
        row = self._connection.execute(
            "SELECT revocations FROM token_revocations WHERE interview = ?", (interview,)
        ).fetchone()
        return row[0] if row else 0

    def revoke(self, interview: str) -> None:
        """Count one more revocation of the interview's tokens; it is named by its digest."""
        self._connection.execute(
            "INSERT INTO token_revocations (interview, revocations) VALUES (?, 1)"
            " ON CONFLICT (interview)"
            " DO UPDATE SET revocations = token_revocations.revocations + 1",
            (interview,),
        )

    def touch(self) -> None:
        """Write what is there already."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        self._connection.execute(f"PRAGMA user_version = {version}")

    def applicants(self, access_key: str) -> list[Applicant]:
        """Return everyone with an interview under the access key, in the order of their first."""
        rows = self._connection.execute(
            "SELECT name, email, EXISTS (SELECT 1 FROM messages AS closing"
            " WHERE closing.access_key = interview.access_key AND closing.name = interview.name"
            " AND closing.email = interview.email AND closing.is_finished = 1)"
            " FROM messages AS interview WHERE access_key = ? AND is_first = 1 ORDER BY id",
            (access_key,),
        )
        return [Applicant(name, email, bool(is_finished)) for name, email, is_finished in rows]

    def finished(self, access_key: str) -> list[Applicant]:
        """Return everyone whose interview under the access key is finished, in that order."""
        rows = self._connection.execute(
            "SELECT name, email FROM messages WHERE access_key = ? AND is_finished = 1"
            " GROUP BY name, email ORDER BY MIN(id)",
            (access_key,),
        )
        return [Applicant(name, email, is_finished=True) for name, email in rows]


class Database:
    """One SQLite file, for all threads of a process.

    Connections are opened when they are needed and used again. After `open_database` none is open,
    so that a server may fork.
    """

    def __init__(self, path: Path, lock_timeout: float) -> None:
        self._path = path
        self._lock_timeout = lock_timeout
        self._idle: list[sqlite3.Connection] = []
        # Threads, and then processes, wait better here than for SQLite's own lock: that they would
        # poll, with pauses of up to a tenth of a second.
        self._writing = Lock()
        self._processes = ProcessLock(path.with_name(path.name + "-lock"))

    @contextmanager
    def reading(self) -> Iterator[Messages]:
        """Give the queries; each reads what is stored at that moment."""
        with _translated_errors(), self._connection() as connection:
            yield Messages(connection)

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[Messages]:
        """Give the queries in a transaction: once the block ends, all it stored is on the disk.

        If it raises, nothing is stored. Nothing slow belongs inside: others wait meanwhile.

        Args:
            synced: Whether what is stored survives a power cut. If not, it survives whatever
                becomes of this process, and the next synced transaction makes it survive the rest.

        """
        with _translated_errors(), self._turn(), self._connection() as connection:
            # Only a write-ahead log can be left unsynced without harm. Each transaction says which
            # it wants, so that none depends on what the connection was used for before.
            relaxed = not synced and wal_is_safe(sqlite3.sqlite_version_info)
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if relaxed else 'FULL'}")
            # IMMEDIATE waits for other processes here. A transaction that starts as a reader
            # fails without waiting when it comes to write.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Messages(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    def sync(self) -> None:
        """Let all that was stored without being synced survive a power cut.

        Raises:
            DatabaseUnavailable: It cannot be read, or not written.

        """
        with self.transaction() as messages:
            messages.touch()

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()
        self._processes.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writing.acquire(timeout=self._lock_timeout):
            raise DatabaseUnavailable("it is busy")
        try:
            with self._processes.turn():
                yield
        finally:
            self._writing.release()

    @contextmanager
    def _connection(self) -> Iterator["sqlite3.Connection"]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = connect(self._path, self._lock_timeout)
        try:
            yield connection
        except sqlite3.Error as error:
            if not _error_name(error).startswith(PASSING_ERRORS):
                connection = self._renewed(connection)
            raise
        finally:
            if connection.in_transaction:
                connection.close()
            else:
                self._idle.append(connection)

    def _renewed(self, connection: "sqlite3.Connection") -> "sqlite3.Connection":
        """Return a new connection, or the old one where none can be opened.

        After an I/O error the old one's files may be gone for good, or may be all there is: on a
        full disk a new one might not even open, while the old one still reads.
        """
        try:
            new = connect(self._path, self._lock_timeout)
        except sqlite3.Error:
            return connection
        try:
            new.execute("SELECT 1 FROM messages LIMIT 1").fetchone()
        except sqlite3.Error:
            new.close()
            return connection
        connection.close()
        return new


def open_database(config: Config) -> Database:
    """Create the database of `DATABASE_URL`, or bring an existing one up to date.

    Raises:
        StartError: The URL or the file cannot be used.

    """
    path = path_of(config.database_url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path, MIGRATION_TIMEOUT)
        try:
            migrate(connection, config.closing_phrase)
            (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        finally:
            connection.close()
    except MigrationError as error:
        raise StartError(f"The database {path} cannot be used: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise StartError(f"The database {path} cannot be opened: {error}.") from error
    log.info(
        "Database %s: schema %d, SQLite %s of %s, journal %s",
        path,
        SCHEMA_VERSION,
        sqlite3.sqlite_version,
        sqlite3.__name__,
        journal_mode,
    )
    return Database(path, config.database_lock_timeout)


def connect(path: Path, lock_timeout: float) -> "sqlite3.Connection":
    """Open the file so that a commit survives a power cut.

    Args:
        path: The file; it is created if there is none.
        lock_timeout: Seconds to wait for another process that writes.

    """
    connection = sqlite3.connect(
        path,
        timeout=lock_timeout,
        isolation_level=None,  # transactions are begun and ended in plain sight
        check_same_thread=False,  # one thread at a time, but not always the same
    )
    try:
        _set_journal_mode(connection, lock_timeout)
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal_mode(connection: "sqlite3.Connection", lock_timeout: float) -> None:
    # With FULL, truncating a rollback journal is synced; deleting it, the default, is not.
    mode = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"
    give_up = time.monotonic() + lock_timeout
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:
            # To change the mode of a file that others have open SQLite does not wait.
            if not _error_name(error).startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether the SQLite version is free of the WAL-reset bug.

    In the others, connections that write at the same time may corrupt a WAL database
    (https://sqlite.org/wal.html#walresetbug).
    """
    return (
        version >= (3, 53)
        or (3, 51, 3) <= version < (3, 52)  # 3.52.0 was withdrawn
        or version[:3] in {(3, 44, 6), (3, 50, 7)}
    )


def path_of(url: str) -> Path:
    """Return the file that `DATABASE_URL` names.

    Raises:
        StartError: It names none.

    """
    prefix = "sqlite:///"
    if not url.startswith(prefix) or url in (prefix, prefix + ":memory:"):
        # The URL itself is not shown: of another database, it may hold a password.
        raise StartError(
            "DATABASE_URL must be sqlite:/// and the path of a file,"
            " such as sqlite:///messages.db or sqlite:////data/messages.db."
        )
    return APP_FOLDER / url.removeprefix(prefix)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a mistake of ours, not a state of the database
    except sqlite3.Error as error:
        name = _error_name(error)
        log.error("SQLite: %s (%s)", error, name)  # noqa: TRY400  # the cause is all in the text
        raise DatabaseUnavailable(_reason(name)) from error


def _error_name(error: sqlite3.Error) -> str:
    """Return the extended error code's name, such as SQLITE_IOERR_WRITE."""
    return str(getattr(error, "sqlite_errorname", "SQLITE_ERROR"))


def _reason(name: str) -> str:
    """Put an error code's name into the client's words."""
    for prefix, reason in (
        ("SQLITE_FULL", "its disk is full"),
        ("SQLITE_BUSY", "it is busy"),
        ("SQLITE_LOCKED", "it is busy"),
        ("SQLITE_READONLY", "it is read-only"),
        ("SQLITE_CANTOPEN", "it cannot be opened"),
        ("SQLITE_IOERR", "its disk fails"),
    ):
        if name.startswith(prefix):
            return reason
    return "it fails"
