"""The service in processes of its own: races between workers, kill -9, failing disks."""

import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from os import kill
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from api import ANA, PROMPT
from conversations import conversing, go_on, told_of
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from server import Gunicorn

pytestmark = pytest.mark.both_databases


def test_gunicorn_alone_holds_an_interview(make_server: Callable[..., Gunicorn]) -> None:
    with make_server().start().api() as api:
        assert api.start().body == {"status": "Interview has started", "system": SCRIPT[0]}
        assert api.reply("Hello").body == {"system": SCRIPT[1]}
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is not set"),
        ({"REPLY_DEADLINE": "soon"}, "REPLY_DEADLINE must be a number of seconds"),
        ({"DATABASE_URL": "mysql://ann:secret@db/x"}, "DATABASE_URL must be sqlite:///"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_clear_sentence(
    make_server: Callable[..., Gunicorn], settings: dict[str, str], sentence: str
) -> None:
    server = make_server(**settings)
    server.spawn()
    assert server.wait() != 0
    log = server.log.read_text()
    assert log.count(sentence) == 1
    assert "Traceback" not in log
    assert "secret" not in log


def test_races_across_two_workers(
    make_server: Callable[..., Gunicorn], rehearsal: Rehearsal
) -> None:
    server = make_server().start()
    rehearsal.default = Behaviour(delay=0.5)
    with server.api() as api, ThreadPoolExecutor(20) as pool:
        starts = list(pool.map(lambda _: api.start(), range(20)))
        assert sorted(answer.status for answer in starts) == [200] + [400] * 19
        assert len(api.messages()) == 2

        rehearsal.default = Behaviour(delay=0.5, echo=True)
        asked = len(rehearsal.requests)
        equal = list(pool.map(lambda _: api.reply("Hello"), range(12)))
        assert {answer.status for answer in equal} == {200}
        assert {answer.body["system"] for answer in equal} == {"You said: Hello"}
        assert api.said()[2:] == ["Hello", "You said: Hello"]
        assert len(rehearsal.requests) - asked <= 2  # one a worker

        different = list(pool.map(lambda i: api.reply(f"Thought {i}"), range(6)))
        assert {answer.status for answer in different} == {200}
        *_, joined, answer = api.said()
        assert sorted(joined.split("\n\n")) == [f"Thought {i}" for i in range(6)]
        assert answer == f"You said: {joined}"
        assert {answer.body["system"] for answer in different} == {answer}

        keyed = list(pool.map(lambda _: api.reply("Again", key="k"), range(12)))
        assert {answer.body["system"] for answer in keyed} == {"You said: Again"}
        assert api.said()[6:] == ["Again", "You said: Again"]


def test_many_workers_may_start_at_once_on_a_new_file(
    make_server: Callable[..., Gunicorn],
) -> None:
    servers = [make_server(WEB_CONCURRENCY="4") for _ in range(2)]
    for server in servers:
        server.spawn()
    for server in servers:
        server.answering()
        with server.api() as api:
            assert api.status() == "uninitiated"
        assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_nothing_acknowledged_is_lost_by_kill_9(
    make_server: Callable[..., Gunicorn], rehearsal: Rehearsal
) -> None:
    rehearsal.default = Behaviour(echo=True, delay=0.01)
    server = make_server().start()
    with conversing(server, 8) as conversations:
        chance = random.Random(1)
        for number in range(10):
            go_on(conversations)
            time.sleep(chance.uniform(0, 0.2))
            if number % 2:
                server.kill()
                server.start()
            else:
                kill(chance.choice(server.workers()), signal.SIGKILL)
    print(f"10 kills: {told_of(conversations, server)}")


def test_a_killed_turn_is_carried_on_by_the_next_request(
    make_server: Callable[..., Gunicorn], rehearsal: Rehearsal
) -> None:
    server = make_server().start()
    with server.api() as api:
        api.start()
        rehearsal.misbehave("silence")

        def hopeless() -> None:
            with suppress(httpx2.TransportError):
                api.reply("Hello")

        replying = Thread(target=hopeless)
        replying.start()
        while len(rehearsal.requests) < 2:
            time.sleep(0.01)
        server.kill()
        replying.join()
    server.start()
    with server.api() as api:
        assert api.said() == [PROMPT, SCRIPT[0], "Hello"]
        assert api.reply("Are you there?").status == 200
        assert api.said()[2:] == ["Hello\n\nAre you there?", SCRIPT[1]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a running process")
def test_a_disk_that_takes_no_more_is_503_and_recovers(
    make_server: Callable[..., Gunicorn], database_path: Path
) -> None:
    server = make_server(WEB_CONCURRENCY="1").start()
    with server.api() as api:
        api.start()
        (worker,) = server.workers()
        # Above what the log may need, below the database.
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        for _ in range(2):
            answer = api.reply("Hello")
            assert answer.status == 503
            assert "database" in answer.body["error"]
            assert int(answer.headers["retry-after"]) > 0
            assert api.start(ANA.named("Mei")).status == 503
            assert api.said() == [PROMPT, SCRIPT[0]]
            assert api.messages(ANA.named("Mei")) == []
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        assert api.reply("Hello").status == 200
        assert api.start(ANA.named("Mei")).status == 200
        assert api.said() == [PROMPT, SCRIPT[0], "Hello", SCRIPT[1]]


def test_a_body_that_is_too_large_is_413_in_json(make_server: Callable[..., Gunicorn]) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    with make_server().start().api() as api:
        for data in (b" " * 1_048_577, chunks()):
            answer = api.send(
                "POST", "/reply", data=data, headers={"Content-Type": "application/json"}
            )
            assert answer.status == 413
            assert "error" in answer.body
        assert api.start().status == 200


def test_a_chunk_that_is_none_is_400_in_json(make_server: Callable[..., Gunicorn]) -> None:
    server = make_server().start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(
            b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
        )
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error": "The body could not be read."}' in answer
