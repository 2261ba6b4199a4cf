"""Group commit: each thread that shares a transaction learns the outcome of its own part."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from config import APP_FOLDER, Config
from db import InterviewKey, Messages, open_database
from storage.errors import DatabaseUnavailable
from storage.sqlite.database import SqliteDatabase
from storage.sqlite.driver import sqlite3
from storage.sqlite.group_commit import MAX_WRITERS

KEY = InterviewKey("job-1", "Ana", "ana@example.com")
Body = Callable[[Messages], object]


class Crowd:
    """Threads that have all come to write while one of them does."""

    def __init__(self, config: Config) -> None:
        database = open_database(config)
        assert isinstance(database, SqliteDatabase)
        self.database = database
        with database.transaction():
            pass
        (self.connection,) = database._connections._idle
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.ended: list[Future[None]] = []

    def write(self, *bodies: Body) -> list[Future[None]]:
        """Let each body be a thread's transaction, and return what came of them.

        None begins before all of them wait.
        """
        self.ended = ended = []
        with ThreadPoolExecutor(len(bodies)) as pool, self.turn():
            for body in bodies:
                ended.append(pool.submit(self._write, body))
                while len(self.database._threads._waiting) < len(ended):
                    assert not ended[-1].done()
                    time.sleep(0.001)
        return ended

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn to write, without a transaction that others could join."""
        threads = self.database._threads
        assert threads._wait_for_turn(time.monotonic()) is None
        yield
        threads._pass_on(None)

    def _write(self, body: Body) -> None:
        with self.database.transaction() as session:
            messages = Messages(session)
            body(messages)

    def stored(self) -> list[str]:
        with self.database.reading() as session:
            messages = Messages(session)
            return [message.content for message in messages.of(KEY)]

    def commits(self) -> int:
        return self.statements.count("COMMIT")


@pytest.fixture
def crowd(config: Config) -> Iterator[Crowd]:
    crowd = Crowd(config)
    yield crowd
    crowd.database.close()


def say(content: str) -> Body:
    return lambda messages: messages.add(KEY, "user", content)


def say_and_fail(messages: Messages) -> None:
    messages.add(KEY, "user", "Never mind")
    raise RuntimeError


def test_threads_that_wait_share_a_commit_in_the_order_in_which_they_came(crowd: Crowd) -> None:
    texts = [f"Text {number}" for number in range(MAX_WRITERS)]
    for ended in crowd.write(*map(say, texts)):
        ended.result()
    assert crowd.stored() == texts
    assert crowd.commits() == 1


def test_no_transaction_grows_without_end(crowd: Crowd) -> None:
    for ended in crowd.write(*[say("Hello")] * (MAX_WRITERS + 1)):
        ended.result()
    assert crowd.commits() == 2


def test_nobody_goes_on_before_the_commit(crowd: Crowd) -> None:
    seen: list[object] = []

    def look_around(messages: Messages) -> None:
        messages.add(KEY, "user", "Second")
        time.sleep(0.1)  # enough for the first one, if it did not wait
        seen.extend((crowd.ended[0].done(), crowd.stored()))

    crowd.write(say("First"), look_around)
    assert seen == [False, []]
    assert crowd.stored() == ["First", "Second"]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_who_fails_undoes_no_more_than_its_own(crowd: Crowd, failing: int) -> None:
    bodies = [say("A"), say("B"), say("C")]
    bodies[failing] = say_and_fail
    ended = crowd.write(*bodies)
    kept = [text for number, text in enumerate("ABC") if number != failing]
    assert crowd.stored() == kept
    for number, one in enumerate(ended):
        if number == failing:
            with pytest.raises(RuntimeError):
                one.result()
        else:
            one.result()


def test_a_full_disk_is_told_to_whoever_it_undoes(crowd: Crowd) -> None:
    (pages,) = crowd.connection.execute("PRAGMA page_count").fetchone()
    crowd.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    ended = crowd.write(say("A"), say("Large" * 100_000), say("C"))
    failed = ["its disk is full" in str(one.exception()) for one in ended]
    assert failed[1]
    assert all(lost or one.exception() is None for one, lost in zip(ended, failed, strict=True))
    assert crowd.stored() == [
        text for text, lost in zip(("A", "", "C"), failed, strict=True) if not lost
    ]
    crowd.connection.execute("PRAGMA max_page_count = 100000")
    crowd.write(say("D"))[0].result()
    assert crowd.stored()[-1] == "D"


def test_a_commit_that_fails_fails_for_all(crowd: Crowd) -> None:
    crowd.connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    crowd.connection.execute(
        "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    )
    crowd.connection.execute("PRAGMA foreign_keys = ON")

    def break_a_promise(_: Messages) -> None:
        crowd.connection.execute("INSERT INTO child VALUES (1)")

    for ended in crowd.write(say("A"), break_a_promise, say("C")):
        with pytest.raises(sqlite3.IntegrityError):
            ended.result()
    assert crowd.stored() == []
    crowd.write(say("D"))[0].result()
    assert crowd.stored() == ["D"]


@pytest.mark.parametrize(
    ("statement", "error"), [("ROLLBACK", RuntimeError), ("RELEASE part", DatabaseUnavailable)]
)
def test_if_a_part_cannot_be_undone_alone_all_are_told(
    crowd: Crowd, statement: str, error: type[Exception]
) -> None:
    """As SQLite rolls back by itself after some errors, or fails to."""

    def fail(messages: Messages) -> None:
        messages.add(KEY, "user", "B")
        crowd.connection.execute(statement)
        raise RuntimeError

    for ended in crowd.write(say("A"), fail, say("C"))[:2]:
        with pytest.raises(error):
            ended.result()
    assert crowd.stored() == ["C"]


def test_who_waits_too_long_is_told_and_forgotten(config: Config) -> None:
    crowd = Crowd(replace(config, database_lock_timeout=0.2))
    with ThreadPoolExecutor() as pool, crowd.database.transaction():
        late = [pool.submit(crowd._write, say("Late")) for _ in range(3)]
        for one in late:
            with pytest.raises(DatabaseUnavailable, match="busy"):
                one.result()
    crowd.write(say("A"), say("B"))
    assert crowd.stored() == ["A", "B"]
    crowd.database.close()


class Interrupted(Exception):
    """A signal's."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals on Windows")
def test_a_thread_that_a_signal_interrupts_while_it_waits_takes_no_turn_with_it(
    crowd: Crowd,
) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    main, waiting = threading.main_thread().ident, crowd.database._threads._waiting
    assert main is not None

    def interrupt_once_it_waits() -> None:
        while not waiting:
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)

    try:
        with ThreadPoolExecutor() as pool, crowd.turn():
            pool.submit(interrupt_once_it_waits)
            with pytest.raises(Interrupted), crowd.database.transaction():
                pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    crowd.write(say("A"), say("B"))
    assert crowd.stored() == ["A", "B"]


def test_a_turn_that_comes_as_the_time_is_up_is_passed_on(crowd: Crowd) -> None:
    threads = crowd.database._threads
    for _ in range(200):
        with ThreadPoolExecutor() as pool:
            with crowd.turn():
                late = pool.submit(threads._wait_for_turn, time.monotonic() + 0.001)
                while not threads._waiting:
                    assert not late.done()
                time.sleep(0.001)  # so that both may come first
            if late.exception() is None:
                threads._pass_on(late.result())
    crowd.write(say("A"))[0].result()
    assert crowd.stored() == ["A"]


def test_a_transaction_that_cannot_begin_lets_the_next_one_try(crowd: Crowd) -> None:
    # A transaction within a transaction cannot begin.
    crowd.connection.execute("BEGIN")
    with pytest.raises(DatabaseUnavailable), crowd.database.transaction():
        pass
    with crowd.database.transaction() as session:
        messages = Messages(session)
        messages.add(KEY, "user", "A")
    assert crowd.stored() == ["A"]


def test_what_is_told_to_be_stored_is_stored_and_nothing_else(crowd: Crowd) -> None:
    """Many at once, of whom some fail."""

    def write(number: int) -> str | None:
        text = f"Text {number}"
        body = say_and_fail if number % 5 == 0 else say(text)
        with suppress(RuntimeError):
            crowd._write(body)
            return text
        return None

    with ThreadPoolExecutor(16) as pool:
        told = [text for text in pool.map(write, range(400)) if text is not None]
    assert len(told) == 320
    assert sorted(crowd.stored()) == sorted(told)
    assert crowd.commits() < 320


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux fails files as a disk would")
def test_a_disk_that_fails_now_and_then_is_told_to_those_whom_it_fails(config: Config) -> None:
    command = [sys.executable, "tests/failing_disk.py", config.database_url]
    done = subprocess.run(command, cwd=APP_FOLDER, check=True, stdout=subprocess.PIPE, timeout=120)
    told = json.loads(done.stdout)
    database = open_database(config)
    with database.reading() as session:
        messages = Messages(session)
        stored = [message.content for message in messages.of(KEY)]
    database.close()
    assert told["lost"]
    assert len(told["stored"]) + len(told["lost"]) == 600
    assert sorted(stored) == sorted(told["stored"])
