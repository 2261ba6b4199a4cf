"""Counters of requests in memory, while many threads count at once."""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import parse

from access.counters import MANY_WINDOWS, Counters, MemoryStorage

THREADS = 16


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns far more often than they do by themselves."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_requests_at_once_are_all_counted_at_a_windows_beginning(eager_threads: None) -> None:
    counters = Counters(None)
    limit = parse("5/hour")
    barrier = threading.Barrier(THREADS)

    def count(subject: str) -> bool:
        barrier.wait()
        return counters.refusal(limit, subject) is None

    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(300):
            assert sum(pool.map(count, [f"subject {number}"] * THREADS)) == 5


def test_requests_at_once_are_all_counted_where_one_window_follows_another(
    eager_threads: None,
) -> None:
    storage = MemoryStorage()
    barrier = threading.Barrier(THREADS)

    def count(_: int) -> int:
        barrier.wait()
        return storage.incr("subject", 0.005)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(100):
            time.sleep(0.006)  # the window before has ended
            counts = list(pool.map(count, range(THREADS)))
            # One window has counted them all, unless the threads took longer than it lasts.
            assert sorted(counts) == list(range(1, THREADS + 1)) or counts.count(1) > 1


def test_a_refusal_says_when_the_window_ends_and_looking_counts_nothing() -> None:
    counters = Counters(None)
    limit = parse("2/hour")
    looked = [counters.refusal(limit, "subject", counting=False) for _ in range(3)]
    assert looked == [None] * 3
    assert [counters.refusal(limit, "subject") for _ in range(2)] == [None] * 2
    for counting in (True, False):
        seconds = counters.refusal(limit, "subject", counting=counting)
        assert seconds is not None
        assert 3590 < seconds <= 3600
    assert counters.refusal(limit, "another") is None


def test_windows_that_have_ended_are_forgotten() -> None:
    storage = MemoryStorage()
    for number in range(10 * MANY_WINDOWS):
        storage.incr(f"subject {number}", 0)
    assert storage.reset() <= MANY_WINDOWS
    assert storage.get("subject 1") == 0


def test_windows_that_go_on_are_kept_however_many_they_are() -> None:
    storage = MemoryStorage()
    for number in range(5 * MANY_WINDOWS):
        storage.incr(f"subject {number}", 3600)
    assert {storage.get(f"subject {number}") for number in range(5 * MANY_WINDOWS)} == {1}
    storage.clear("subject 1")
    assert storage.get("subject 1") == 0


def test_counting_starts_no_thread() -> None:
    before = threading.active_count()
    counters = Counters(None)
    for _ in range(10):
        counters.refusal(parse("2/second"), "subject")
    assert threading.active_count() == before
