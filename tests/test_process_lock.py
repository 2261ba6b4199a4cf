"""The lock between processes: a turn for each, and no longer wait than is asked for."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api import PROMPT, Api
from openai_api.rehearsal import SCRIPT
from storage.errors import DatabaseUnavailable
from storage.sqlite.process_lock import ProcessLock

if sys.platform == "win32":
    pytest.skip("there is no such lock on Windows", allow_module_level=True)
import fcntl


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "messages.db-lock"


@pytest.fixture
def lock(path: Path) -> Iterator[ProcessLock]:
    lock = ProcessLock(path)
    yield lock
    lock.close()


def soon() -> float:
    return time.monotonic() + 0.1


def later() -> float:
    return time.monotonic() + 60


def test_whoever_holds_the_lock_makes_a_reply_503_within_the_lock_timeout(
    make_api: Callable[..., Api], database_path: Path
) -> None:
    api = make_api(database_lock_timeout=0.3)
    api.start()
    with ThreadPoolExecutor() as pool:
        with database_path.with_name("messages.db-lock").open("r+") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            replies = [pool.submit(api.reply, f"Hello {number}") for number in range(4)]
            answers = [reply.result(30) for reply in replies]
        assert {answer.status for answer in answers} == {503}
        assert all("busy" in answer.body["error"] for answer in answers)
    assert api.said() == [PROMPT, SCRIPT[0]]
    assert api.reply("Hello").status == 200


def test_a_turn_comes_once_the_other_process_is_done(path: Path, lock: ProcessLock) -> None:
    with ThreadPoolExecutor() as pool, path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def take_turn() -> None:
            with lock.turn(later()), pytest.raises(BlockingIOError):
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)

        for _ in range(3):
            waiting = pool.submit(take_turn)
            while (file := lock._file) is None or not file._is_in_line:
                assert not waiting.done()
                time.sleep(0.001)
            fcntl.flock(holder, fcntl.LOCK_UN)
            waiting.result()
            fcntl.flock(holder, fcntl.LOCK_EX)


def test_a_wait_that_was_given_up_keeps_the_lock_from_nobody(path: Path, lock: ProcessLock) -> None:
    with path.open("w") as holder, path.open() as other:
        fcntl.flock(holder, fcntl.LOCK_EX)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable, match="busy"), lock.turn(soon()):
                pass
        fcntl.flock(holder, fcntl.LOCK_UN)
        # It comes to the one that has given up first, and is released at once.
        fcntl.flock(other, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_UN)
    with lock.turn(later()):
        pass


def test_a_wait_that_was_given_up_is_taken_up_by_the_next_one(
    path: Path, lock: ProcessLock
) -> None:
    with ThreadPoolExecutor() as pool, path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(DatabaseUnavailable), lock.turn(soon()):
            pass

        def take_turn() -> None:
            with lock.turn(later()):
                pass

        waiting = pool.submit(take_turn)
        fcntl.flock(holder, fcntl.LOCK_UN)
        waiting.result()


def test_it_can_be_closed_while_it_waits_and_used_again(path: Path, lock: ProcessLock) -> None:
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(DatabaseUnavailable), lock.turn(soon()):
            pass
        lock.close()
    with lock.turn(later()):
        pass


def test_where_the_file_cannot_be_opened_there_is_no_lock(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "nowhere" / "messages.db-lock")
    with lock.turn(soon()):
        pass
    lock.close()
