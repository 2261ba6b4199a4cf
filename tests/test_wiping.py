"""Wiping an SQLite file that others have open: what they hold in their caches stays away."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from struct import unpack_from

import pytest

from config import Config
from db import InterviewKey, Messages, open_database
from erased import all_bytes, path_of
from server import APP_FOLDER
from storage.errors import DatabaseUnavailable
from storage.sqlite import connections, wiping
from storage.sqlite.connections import Connection, connect
from storage.sqlite.database import SqliteDatabase
from storage.sqlite.driver import sqlite3
from storage.sqlite.unused_bytes import Pages

# Interviews in the file, of which every third one is erased.
INTERVIEWS = 600
MESSAGES = 4

# A page of an index keeps most of its gap when a row is added.
READ_INDEX = (
    "SELECT COUNT(name || email) FROM messages INDEXED BY messages_interview WHERE access_key > ''"
)
ADD_ROWS = (
    "INSERT INTO messages (content, date_created, role, access_key, name, email)"
    " SELECT '', '', 'user', access_key, name, email FROM messages"
    " WHERE id % 40 = 1 AND content <> ''"
)


def key(number: int) -> InterviewKey:
    # In the index they come in another order, so that its pages are split where they are.
    place = number * 7919 % INTERVIEWS
    return InterviewKey("job-1", f"{place:05d} <{number:05d}>", f"<{number:05d}>@example.com")


GONE = [key(number) for number in range(0, INTERVIEWS, 3)]


def left_of_the_gone(path: Path) -> list[str]:
    everything = all_bytes(path)
    return [gone.name for gone in GONE if gone.name[-7:].encode() in everything]


@pytest.fixture
def database(config: Config) -> Iterator[SqliteDatabase]:
    database = filled(config)
    yield database
    database.close()


def filled(config: Config) -> SqliteDatabase:
    """A database in which others' words lie beside those of who is gone."""
    database = open_database(config)
    assert isinstance(database, SqliteDatabase)
    with database.transaction() as session:
        messages = Messages(session)
        for message in range(MESSAGES):
            for number in range(INTERVIEWS):
                length = 1 + (number * 7 + message * 13) % 60
                messages.append(key(number), "user", f"<{number:05d}>" * length)
    database.close()
    leave_copies(path_of(config.database_url))
    return database


def leave_copies(path: Path) -> None:
    """Leave copies of names where SQLite does: in the gaps of pages, in the middle of each.

    By itself it leaves some in one page of hundreds, and not always in the same one.
    """
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        kind, _, cells, begin = unpack_from(">BHHH", content, page)
        gap = 12 + 2 * cells
        if kind in (10, 13) and gap + 300 < begin:
            content[page + gap + 100 : page + gap + 107] = GONE[0].name[-7:].encode()
    path.write_bytes(content)


def erase_all(database: SqliteDatabase) -> None:
    for gone in GONE:
        with database.transaction(gone) as session:
            session.execute(f"DELETE FROM messages WHERE {session.one_interview}", gone._asdict())


def contents(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: list[tuple[object, ...]] = connection.execute(
            "SELECT id, content, name FROM messages ORDER BY id"
        ).fetchall()
        return found


@contextmanager
def during(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, happen: Callable[[], object]
) -> Iterator[None]:
    """Let something happen, once, when the function has been called."""
    usual = getattr(owner, name)
    left = [happen]

    def call(*arguments: object, **options: object) -> object:
        result = usual(*arguments, **options)
        if left:
            left.pop()()
        return result

    with monkeypatch.context() as patches:
        patches.setattr(owner, name, call)
        yield
    assert not left


def test_secure_delete_alone_leaves_something(
    database: SqliteDatabase, database_path: Path
) -> None:
    erase_all(database)
    with closing(connect(database_path, 5)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert left_of_the_gone(database_path)


def test_nothing_is_left_and_nothing_else_is_changed(
    database: SqliteDatabase, database_path: Path
) -> None:
    erase_all(database)
    before = contents(database_path)
    database.wipe(60, thoroughly=True)
    assert left_of_the_gone(database_path) == []
    assert contents(database_path) == before


def test_a_file_with_a_rollback_journal_is_wiped_too(
    config: Config, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "wal_is_safe", lambda _: False)
    database = filled(config)
    erase_all(database)
    assert left_of_the_gone(database_path)
    before = contents(database_path)
    database.wipe(60, thoroughly=True)
    assert left_of_the_gone(database_path) == []
    assert contents(database_path) == before
    database.close()


def test_what_a_writer_puts_into_the_log_meanwhile_is_wiped_too(
    database: SqliteDatabase, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase_all(database)
    # The writer has read every page before they are wiped, and writes them back afterwards.
    with closing(connect(database_path, 5)) as writer:
        writer.execute("PRAGMA cache_size = 10000")

        def read() -> None:
            assert writer.execute(READ_INDEX).fetchone() != (0,)

        def write() -> None:
            writer.execute(ADD_ROWS)

        usual = wiping._move_log
        calls: list[str] = []

        def moved(connection: Connection, mode: str) -> bool:
            calls.append(mode)
            has_moved = usual(connection, mode)
            if calls == ["PASSIVE", "TRUNCATE"]:
                read()
            return has_moved

        monkeypatch.setattr(wiping, "_move_log", moved)
        with during(monkeypatch, Pages, "wipe", write):
            database.wipe(60, thoroughly=False)
    assert calls == ["PASSIVE", "TRUNCATE", "PASSIVE", "TRUNCATE"]
    assert left_of_the_gone(database_path) == []


def test_what_a_writer_has_in_its_cache_does_not_come_back_afterwards(
    database: SqliteDatabase, database_path: Path
) -> None:
    with closing(connect(database_path, 5)) as writer:
        writer.execute("PRAGMA cache_size = 10000")
        for gone in GONE:
            writer.execute(
                "DELETE FROM messages WHERE access_key = ? AND name = ? AND email = ?", gone
            )
        assert writer.execute(READ_INDEX).fetchone() != (0,)
        database.wipe(60, thoroughly=False)
        assert left_of_the_gone(database_path) == []
        writer.execute(ADD_ROWS)
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert left_of_the_gone(database_path) == []


@pytest.mark.parametrize("mode", ["PASSIVE", "TRUNCATE"])
def test_whoever_writes_without_the_services_lock_is_noticed(
    database: SqliteDatabase, database_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    erase_all(database)
    usual = wiping._move_log
    times: list[str] = []

    with closing(connect(database_path, 5)) as writer:

        def moved(connection: Connection, asked: str) -> bool:
            has_moved = usual(connection, asked)
            times.append(asked)
            if asked == mode and times.count(mode) in (1, 2):
                # Another program, which neither knows the lock nor waits for long.
                try:
                    writer.execute(ADD_ROWS)
                except sqlite3.OperationalError:
                    times.append("locked")
            return has_moved

        writer.execute("PRAGMA cache_size = 10000")
        writer.execute("PRAGMA busy_timeout = 0")
        assert writer.execute(READ_INDEX).fetchone() != (0,)
        monkeypatch.setattr(wiping, "_move_log", moved)
        database.wipe(60, thoroughly=False)
    assert left_of_the_gone(database_path) == []
    assert "locked" in times or len(contents(database_path)) > MESSAGES * (INTERVIEWS - len(GONE))


def test_a_reader_who_stays_makes_it_fail_and_is_not_disturbed(
    database: SqliteDatabase, database_path: Path
) -> None:
    with closing(sqlite3.connect(database_path)) as reader:
        reader.execute("BEGIN")
        (count,) = reader.execute("SELECT COUNT(*) FROM messages").fetchone()
        erase_all(database)
        with pytest.raises(DatabaseUnavailable, match="it is busy"):
            database.wipe(0.1, thoroughly=False)
        # Nobody else waits for the reader, or for who waits for it.
        with database.transaction() as session:
            Messages(session).append(key(1), "user", "Hello")
        assert reader.execute("SELECT COUNT(*) FROM messages").fetchone() == (count,)
    database.wipe(60, thoroughly=False)
    assert left_of_the_gone(database_path) == []


def test_a_reader_who_begins_once_the_log_is_empty_is_in_nobodys_way(
    database: SqliteDatabase, database_path: Path
) -> None:
    erase_all(database)
    with closing(connect(database_path, 5)) as reader:
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM messages").fetchone()
        database.wipe(60, thoroughly=False)
        assert left_of_the_gone(database_path) == []


def test_threads_that_come_meanwhile_share_the_next_time(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, begun, go_on = Pages.wipe, [0], threading.Event()

    def wipe(pages: Pages, *, thoroughly: bool) -> int:
        begun[0] += 1
        assert go_on.wait(60)
        return usual(pages, thoroughly=thoroughly)

    monkeypatch.setattr(Pages, "wipe", wipe)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(database.wipe, 60, thoroughly=False)
        while not begun[0]:
            assert not first.done()
        others = [pool.submit(database.wipe, 60, thoroughly=False) for _ in range(19)]
        while database._wiper._next is None:
            assert not first.done()
        go_on.set()
        for future in (first, *others):
            future.result()
    assert begun[0] <= 3  # a few may have come before the first of them had begun


def test_two_services_wipe_one_file(config: Config, database_path: Path) -> None:
    databases = [filled(config), open_database(config)]
    assert isinstance(databases[1], SqliteDatabase)
    erase_all(databases[1])
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(one.wipe, 60, thoroughly=True) for one in databases]:
            future.result()
    assert left_of_the_gone(database_path) == []
    for one in databases:
        one.close()


def test_sqlites_own_locks_survive_it(database: SqliteDatabase, database_path: Path) -> None:
    # POSIX takes away a process's locks on a file when the process closes it. Without its lock, the
    # last connection of another process would take the log away from this one.
    with database.transaction() as session:
        Messages(session).append(key(1), "user", "Before")
    database.wipe(60, thoroughly=False)
    with database.transaction() as session:
        Messages(session).append(key(1), "user", "After")
    other = (
        "import sys; sys.path.insert(0, '.');"
        "from storage.sqlite.driver import sqlite3;"
        f"c = sqlite3.connect({str(database_path)!r});"
        "c.execute('SELECT COUNT(*) FROM messages').fetchone(); c.close()"
    )
    subprocess.run([sys.executable, "-c", other], cwd=APP_FOLDER, check=True)
    assert database_path.with_name(database_path.name + "-wal").exists()
    with database.transaction() as session:
        Messages(session).append(key(1), "user", "Later")
    with closing(sqlite3.connect(database_path)) as connection:
        said = connection.execute(
            "SELECT content FROM messages WHERE name = ? ORDER BY id DESC LIMIT 3", (key(1).name,)
        ).fetchall()
    assert said == [("Later",), ("After",), ("Before",)]
