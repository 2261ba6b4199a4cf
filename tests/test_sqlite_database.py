"""SQLite: durable commits, cheap queries, bounded waits, and recovery from failures."""

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Timer

import pytest

from api import ANA, PROMPT, Api
from config import APP_FOLDER, Config, StartError
from db import InterviewKey, Messages, open_database
from openai_api.rehearsal import SCRIPT
from storage.errors import DatabaseUnavailable
from storage.sqlite import connections
from storage.sqlite.connections import CACHED_STATEMENTS, connect, wal_is_safe
from storage.sqlite.database import MAX_READERS, SqliteDatabase, path_of
from storage.sqlite.driver import sqlite3

KEY = InterviewKey("job-1", "Ana", "ana@example.com")


@pytest.fixture
def database(config: Config) -> SqliteDatabase:
    database = open_database(config)
    assert isinstance(database, SqliteDatabase)
    return database


@pytest.mark.parametrize(
    ("version", "is_safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), False),
        ((3, 53, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_it_cannot_corrupt(version: tuple[int, ...], is_safe: bool) -> None:
    assert wal_is_safe(version) == is_safe


def test_a_connection_keeps_every_statement_that_the_service_has() -> None:
    modules = [*APP_FOLDER.glob("*/queries.py"), APP_FOLDER / "background" / "jobs.py"]
    written = [
        statement
        for module in modules
        for statement in re.findall(r'"(?:SELECT|INSERT|UPDATE|DELETE) ', module.read_text())
    ]
    assert len(modules) > 2
    # Some begin and end transactions, and a few change a connection's patience.
    assert len(written) + 20 < CACHED_STATEMENTS


@pytest.mark.parametrize(("is_safe", "journal"), [(True, "wal"), (False, "truncate")])
def test_a_commit_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_safe: bool, journal: str
) -> None:
    monkeypatch.setattr(connections, "wal_is_safe", lambda _: is_safe)
    for _ in range(2):
        connection = connect(tmp_path / "messages.db", 1)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (journal,)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        connection.close()


def test_a_journal_is_changed_once_whoever_writes_is_done(tmp_path: Path) -> None:
    path = tmp_path / "messages.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("CREATE TABLE anything (column)")
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        connect(path, lock_timeout=0.05)
    done = Timer(0.3, lambda: writer.execute("COMMIT"))
    done.start()
    connect(path, lock_timeout=10).close()
    done.join()
    writer.close()


def test_a_wal_file_goes_back_to_a_rollback_journal_where_wal_is_not_safe(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_safe in (True, False, True):
        monkeypatch.setattr(connections, "wal_is_safe", lambda _, is_safe=is_safe: is_safe)
        database = open_database(config)
        with database.transaction() as session:
            messages = Messages(session)
            messages.add(KEY, "system", "Hello")
        database.close()
    with database.reading() as session:
        messages = Messages(session)
        assert len(messages.of(KEY)) == 3
    database.close()


def test_the_current_sqlite_is_taken_where_there_is_a_wheel_of_it() -> None:
    if sys.platform == "linux" and os.uname().machine == "x86_64":
        assert sqlite3.__name__ == "pysqlite3"
        assert wal_is_safe(sqlite3.sqlite_version_info)


def test_pythons_own_sqlite_serves_as_well(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pysqlite3'] = None\n"
        "import db; from config import Config\n"
        "from storage.sqlite.driver import sqlite3; assert sqlite3.__name__ == 'sqlite3'\n"
        "database = db.open_database(Config('k', database_url='sqlite:///' + sys.argv[1]))\n"
        "key = db.InterviewKey('job-1', 'Ana', 'ana@example.com')\n"
        "with database.transaction() as session:\n"
        "  db.Messages(session).add(key, 'system', 'Hello')\n"
        "with database.reading() as session:\n"
        "  assert db.Messages(session).of(key)[0].content == 'Hello'\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "messages.db")]
    subprocess.run(command, cwd=APP_FOLDER, check=True, timeout=60)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (lambda messages: messages.of(KEY), "messages_interview (access_key=? AND name=?"),
        (lambda messages: messages.newest(KEY), "messages_interview (access_key=? AND name=?"),
        (lambda messages: messages.applicants("job-1"), "messages_applicants (access_key=?)"),
        (lambda messages: messages.finished("job-1"), "messages_finished (access_key=?)"),
        (lambda messages: messages.of_with_key(KEY, "k"), "PRIMARY KEY (access_key=? AND"),
    ],
    ids=["one interview", "its newest", "applicants", "finished", "idempotency key"],
)
def test_a_query_reads_no_more_than_its_answer(
    database: SqliteDatabase, query: Callable[[Messages], object], index: str
) -> None:
    """No step of its plan may scan a table, or sort what an index could give in order."""
    statements: list[str] = []
    with database.reading():
        pass
    (connection,) = database._connections._idle
    connection.set_trace_callback(statements.append)
    with database.reading() as session:
        messages = Messages(session)
        query(messages)
    connection.set_trace_callback(None)
    plan = [
        row[3]
        for statement in statements
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan
    # The finished ones alone are put into another order than their index's.
    if "finished" not in index:
        assert not any("TEMP B-TREE" in step for step in plan), plan
    database.close()


def test_a_locked_file_is_503_and_recovers(
    make_api: Callable[..., Api], database_path: Path
) -> None:
    api = make_api(database_lock_timeout=0.2)
    api.start()
    blocker = connect(database_path, 1)
    blocker.execute("BEGIN IMMEDIATE")
    answer = api.reply("Hello")
    assert answer.status == 503
    assert "busy" in answer.body["error"]
    assert answer.headers["Retry-After"]
    assert api.start(ANA.named("Mei")).status == 503
    assert api.said() == [PROMPT, SCRIPT[0]]
    blocker.execute("ROLLBACK")
    blocker.close()
    assert api.reply("Hello").status == 200
    assert api.start(ANA.named("Mei")).status == 200


WAITING_WRITERS = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from config import Config
from db import DatabaseUnavailable, open_database

config = Config("k", database_url=sys.argv[1], database_lock_timeout=float(sys.argv[2]))
database = open_database(config)
print("open", flush=True)
sys.stdin.readline()

def wait(number):
    time.sleep(number * 0.1)  # some come while others wait already
    began = time.monotonic()
    try:
        with database.transaction():
            return None
    except DatabaseUnavailable:
        return time.monotonic() - began

with ThreadPoolExecutor(4) as pool:
    print(*pool.map(wait, range(4)))
"""


def test_however_many_wait_for_a_locked_file_each_gives_up_in_time(
    config: Config, database: SqliteDatabase, database_path: Path
) -> None:
    """Threads for their turn, processes for theirs, and the first of them for SQLite's lock."""
    timeout = 2.0
    blocker = connect(database_path, 1)
    command = [sys.executable, "-c", WAITING_WRITERS, config.database_url, str(timeout)]
    processes = [
        subprocess.Popen(
            command, cwd=APP_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline()
    blocker.execute("BEGIN IMMEDIATE")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    blocker.execute("ROLLBACK")
    blocker.close()
    waits = [float(wait) for output in outputs for wait in output]
    assert len(waits) == 16
    # Were they to add up, the last process would wait for four times as long.
    assert max(waits) < 2 * timeout
    with database.transaction():
        pass
    database.close()


def test_readers_at_once_are_bounded_and_hold_up_no_writer(config: Config) -> None:
    database = open_database(replace(config, database_lock_timeout=0.2))
    with ExitStack() as readers:
        for _ in range(MAX_READERS):
            readers.enter_context(database.reading())
        with pytest.raises(DatabaseUnavailable, match="busy"), database.reading():
            pass
        with database.transaction() as session:
            Messages(session).add(KEY, "system", "Hello")
        database.check_writable()
    with database.reading() as session:
        assert len(Messages(session).of(KEY)) == 1
    database.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows open files")
def test_a_burst_leaves_no_more_connections_open_than_are_allowed(
    database: SqliteDatabase, database_path: Path
) -> None:
    def use(number: int) -> None:
        if number % 2:
            with database.reading() as session:
                Messages(session).of(KEY)
        else:
            with database.transaction() as session:
                Messages(session).add(KEY, "user", "Hello")

    with ThreadPoolExecutor(60) as pool:
        list(pool.map(use, range(600)))
    files = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]  # noqa: PTH115
    assert files.count(str(database_path)) <= MAX_READERS + 1
    database.close()


def test_many_checks_at_once_wait_for_one_turn_to_write(database: SqliteDatabase) -> None:
    threads = database._threads
    ready = Barrier(21)

    def check() -> None:
        ready.wait()
        database.check_writable()

    with ThreadPoolExecutor(20) as pool:
        assert threads._wait_for_turn(time.monotonic()) is None
        checks = [pool.submit(check) for _ in range(20)]
        ready.wait()
        while not threads._waiting:
            time.sleep(0.001)
        time.sleep(0.1)  # enough for the others
        waiting = len(threads._waiting)
        threads._pass_on(None)
        for one in checks:
            one.result()
    assert waiting == 1
    database.close()


def test_checks_at_once_all_fail_where_nothing_can_be_written(config: Config) -> None:
    database = open_database(replace(config, database_lock_timeout=0.2))
    with ThreadPoolExecutor(5) as pool, database.transaction():
        checks = [pool.submit(database.check_writable) for _ in range(5)]
        for check in checks:
            with pytest.raises(DatabaseUnavailable, match="busy"):
                check.result()
    database.check_writable()
    database.close()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(database_path: Path) -> dict[str, int]:
    files = database_path.parent.glob(f"{database_path.name}*")
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")
@pytest.mark.parametrize("mask", [0, 0o022, 0o277])
def test_files_are_created_for_their_owner_alone(
    config: Config, database_path: Path, mask: int, caplog: pytest.LogCaptureFixture
) -> None:
    database_path.parent.mkdir()
    with umask(mask):
        database = open_database(config)
        with database.transaction() as session:
            Messages(session).add(KEY, "system", "Hello")
        created = modes(database_path)
        database.close()
    names = [f"messages.db{suffix}" for suffix in ("", "-wal", "-shm", "-lock")]
    assert created == dict.fromkeys(names, 0o600)
    assert "can be read by every user" not in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")
def test_the_mode_of_a_file_that_exists_is_left_alone_with_a_warning(
    config: Config, database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_database(config).close()
    database_path.chmod(0o644)
    open_database(config).close()
    assert modes(database_path)[database_path.name] == 0o644
    assert f"{database_path} can be read by every user of this machine (mode 0644)" in caplog.text


@pytest.mark.parametrize(
    ("pragma", "reason"),
    [("query_only = ON", "read-only"), ("max_page_count = 1", "disk is full")],
)
def test_a_read_only_file_or_a_full_disk_stores_nothing_and_recovers(
    database: SqliteDatabase, pragma: str, reason: str
) -> None:
    with database.transaction() as session:
        messages = Messages(session)
        messages.add(KEY, "system", "Before")
    (connection,) = database._connections._idle
    (before,) = connection.execute(f"PRAGMA {pragma.split()[0]}").fetchone()
    connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(DatabaseUnavailable, match=reason), database.transaction() as session:
        messages = Messages(session)
        messages.add(KEY, "user", "Small")
        messages.add(KEY, "user", "Large" * 100_000)
    with database.reading() as session:
        messages = Messages(session)
        assert [message.content for message in messages.of(KEY)] == ["Before"]
    if connection in database._connections._idle:  # else the next one is a new one
        connection.execute(f"PRAGMA {pragma.split()[0]} = {before}")
    with database.transaction() as session:
        messages = Messages(session)
        messages.add(KEY, "user", "After")
    with database.reading() as session:
        messages = Messages(session)
        assert [message.content for message in messages.of(KEY)] == ["Before", "After"]
    database.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows open files")
@pytest.mark.parametrize("suffixes", [("-wal",), (".db", "-wal")])
def test_files_that_went_bad_under_an_open_connection_are_opened_anew(
    database: SqliteDatabase, suffixes: tuple[str, ...]
) -> None:
    with database.transaction() as session:
        messages = Messages(session)
        messages.add(KEY, "system", "Before")
    # As after a volume was detached and attached again.
    with open(os.devnull) as null:  # noqa: PTH123  # its number is what is wanted
        for link in Path("/proc/self/fd").iterdir():
            target = str(link.readlink()) if link.is_symlink() else ""
            if "folder/messages" in target and target.endswith(suffixes):
                os.dup2(null.fileno(), int(link.name))
    for _ in range(5):
        with suppress(DatabaseUnavailable), database.transaction() as session:
            messages = Messages(session)
            messages.add(KEY, "system", "After")
            break
    with database.reading() as session:
        messages = Messages(session)
        assert [message.content for message in messages.of(KEY)] == ["Before", "After"]
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:secret@db/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "messages.db",
    ],
)
def test_a_url_that_names_no_file_is_refused(config: Config, url: str) -> None:
    with pytest.raises(StartError, match="DATABASE_URL") as caught:
        open_database(Config(openai_api_key="k", database_url=url))
    assert "secret" not in str(caught.value)


def test_a_path_is_relative_to_the_apps_folder() -> None:
    assert path_of("sqlite:///messages.db") == APP_FOLDER / "messages.db"
    assert path_of("sqlite:////data/messages.db") == Path("/data/messages.db")


def test_a_file_that_is_no_database_is_refused(config: Config, database_path: Path) -> None:
    database_path.parent.mkdir()
    database_path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(StartError, match="not a database"):
        open_database(config)


def test_a_folder_that_cannot_be_made_is_refused(config: Config, database_path: Path) -> None:
    database_path.parent.write_text("a file")
    with pytest.raises(StartError, match="cannot be opened"):
        open_database(config)


def test_the_log_says_which_sqlite_and_journal(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    open_database(config)
    assert f"SQLite {sqlite3.sqlite_version}" in caplog.text
    assert "journal wal" in caplog.text or "journal truncate" in caplog.text
