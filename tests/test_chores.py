"""Chores: done again and again, whatever goes wrong once, until the process stops."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from background.chores import Chores
from background.worker import Worker
from config import Config
from db import open_database
from storage.errors import DatabaseUnavailable
from waiting import wait_until


class Counting:
    """A chore that counts its times, and fails as it is told."""

    name = "counting"
    pause = 0.005

    def __init__(self, *failures: Exception | None) -> None:
        self.times = 0
        self._failures = iter(failures)

    def run(self) -> None:
        self.times += 1
        failure = next(self._failures, None)
        if failure is not None:
            raise failure


@contextmanager
def under_way(*chores: Counting) -> Iterator[Chores]:
    running = Chores(chores)
    running.start()
    try:
        yield running
    finally:
        running.stop()
        for thread in running.threads:
            thread.join(30)
            assert not thread.is_alive()


def beyond(chore: Counting, times: int) -> Callable[[], bool]:
    return lambda: chore.times > times


def test_each_chore_is_done_again_and_again_until_the_end() -> None:
    one, other = Counting(), Counting()
    with under_way(one, other):
        wait_until(beyond(one, 3))
        wait_until(beyond(other, 3))
    times = one.times
    assert not [thread for thread in threading.enumerate() if thread.name == "chore-counting"]
    assert one.times == times


def test_a_failure_is_logged_once_until_it_goes_well_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    unavailable = DatabaseUnavailable("its disk is full")
    chore = Counting(*[unavailable] * 3, None, unavailable, None, ValueError("a secret"), None)
    with under_way(chore):
        wait_until(beyond(chore, 9))
    told = [record.getMessage() for record in caplog.records if "counting" in record.getMessage()]
    assert told == [
        f"Chore counting waits: {unavailable}",
        f"Chore counting waits: {unavailable}",
        "Chore counting waits: ValueError",
    ]
    assert [bool(record.exc_info) for record in caplog.records][-3:] == [False, False, True]


def test_a_worker_without_jobs_does_its_chores(config: Config) -> None:
    database = open_database(config)
    chore = Counting()
    worker = Worker(database, [], [chore])
    worker.start()
    wait_until(beyond(chore, 2))
    worker.stop()
    worker.join()
    database.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "chore-counting"]
