"""The audit trail under two servers on one database, and with servers that are killed."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from os import kill
from threading import Event

import httpx2
import pytest

from api import ANA
from audited import problems, told, trail
from config import Config
from db import Database, open_database
from openai_api.rehearsal import Behaviour, Rehearsal
from scored import CLOSING
from server import Gunicorn
from waiting import wait_until

pytestmark = pytest.mark.both_databases

MakeServer = Callable[..., Gunicorn]

APPLICANTS = 40


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def start_until_told(servers: list[Gunicorn], number: int) -> int:
    """Start an interview on one server or the other until one has answered, and count the tries."""
    for tries, server in enumerate(cycle(servers), 1):
        with suppress(httpx2.TransportError), server.api() as api:
            answer = api.start(ANA.named(f"Ana {number}"), key=f"start {number}")
            if answer.status == 200:
                return tries
        assert tries < 1000
        time.sleep(0.02)
    raise AssertionError


@pytest.mark.long
def test_two_servers_make_one_chain(
    make_server: MakeServer, database: Database, rehearsal: Rehearsal
) -> None:
    servers = [make_server().start() for _ in range(2)]
    rehearsal.default = Behaviour(message={"content": CLOSING})
    over = Event()

    def read() -> None:
        """Read the trail from both, which links what is loose."""
        for server in cycle(servers):
            if over.is_set():
                return
            with server.api() as api:
                trail(api)

    with ThreadPoolExecutor(10) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        try:
            list(pool.map(lambda one: start_until_told(servers[one % 2 :], one), range(APPLICANTS)))
        finally:
            over.set()
        for reader in reading:
            reader.result()
    for server in servers:
        with server.api() as api:
            found = told(trail(api))
    for action in ("interview.started", "interview.finished"):
        assert found.count(("anyone", action)) == APPLICANTS
    assert len(found) == 2 * APPLICANTS
    assert problems(database) == []


@pytest.mark.long
def test_of_servers_that_are_killed_no_event_is_lost_and_none_is_twice(
    make_server: MakeServer, database: Database, rehearsal: Rehearsal
) -> None:
    servers = [make_server().start() for _ in range(2)]
    done = 0

    def start(number: int) -> int:
        nonlocal done
        tries = start_until_told(servers[number % 2 :] + servers[: number % 2], number)
        done += 1
        return tries

    with ThreadPoolExecutor(6) as pool:
        starting = [pool.submit(start, number) for number in range(APPLICANTS)]
        for turn in range(6):
            wait_until(lambda turn=turn: done > turn * APPLICANTS // 7)  # type: ignore[misc]
            server = servers[turn % 2]
            if turn % 3:
                server.kill()
                server.start()
            else:
                kill(server.workers()[0], signal.SIGKILL)
        tries = sum(started.result() for started in starting)
    with servers[0].api() as api:
        found = trail(api)
        assert len(api.get(f"/get_applicants/{ANA.access_key}").body["applicants"]) == APPLICANTS
    assert told(found) == [("anyone", "interview.started")] * APPLICANTS
    assert len({event["subject"] for event in found}) == APPLICANTS
    assert problems(database) == []
    print(f"{APPLICANTS} starts in {tries} tries, 6 kills, each an event")
