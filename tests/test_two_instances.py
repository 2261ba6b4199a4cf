"""Two instances behind a balancer, one PostgreSQL, one Redis: either instance may die."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api import ANA, PROMPT, Api, Applicant, over_http
from openai_api.rehearsal import Behaviour, Rehearsal
from postgresql import server_url
from schemas import fresh_schema
from server import APP_FOLDER
from streams import Event as StreamEvent
from streams import opened, rest_of
from topology import Topology, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")

KILLS = 12
MESSAGES = 25


@pytest.fixture
def topology(tmp_path: Path, rehearsal: Rehearsal) -> Iterator[Topology]:
    with (
        fresh_schema(server_url()) as database_url,
        running(
            tmp_path,
            {
                "OPENAI_API_KEY": "sk-of-the-tests",
                "OPENAI_BASE_URL": rehearsal.url,
                "DATABASE_URL": database_url,
                "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
                "LIMIT_REPLIES": "1000/second",
                "CLOSING_PHRASE": "never said",
            },
        ) as topology,
    ):
        yield topology


def client(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=30)


def insist(api: Api, path: str, body: dict[str, str], key: str, tries: list[str]) -> dict[str, Any]:
    """Send the request again, with its key, until it is answered."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tries.append(key)
        try:
            answer = api.post(path, body, key)
        except httpx2.TransportError:
            continue
        if answer.status == 200:
            found: dict[str, Any] = answer.body
            return found
        assert answer.status in (500, 503), answer
        time.sleep(0.05)
    raise AssertionError("no instance answered in a minute")


@pytest.mark.long
def test_an_instance_that_is_killed_again_and_again_loses_and_doubles_nothing(
    topology: Topology, rehearsal: Rehearsal
) -> None:
    rehearsal.default = Behaviour(echo=True, delay=0.02)
    applicants = [ANA.named(f"Ana {number}") for number in range(8)]
    over = Event()
    tries: list[str] = []

    def hold(applicant: Applicant) -> list[str]:
        """Hold an interview as a careful client does, and return what was said."""
        with client(topology.url) as http:
            api = over_http(http)
            body = {**applicant.fields, "prompt": PROMPT}
            opening = insist(api, "/start_interview", body, uuid4().hex, tries)
            said = [PROMPT, opening["system"]]
            number = 0
            while number < MESSAGES or not over.is_set():
                number += 1
                message = f"{applicant.name} says {number}"
                body = {**applicant.fields, "message": message}
                answer = insist(api, "/reply", body, uuid4().hex, tries)["system"]
                assert answer == f"You said: {message}"
                said += [message, answer]
            return said

    def go_on() -> None:
        """Wait until three more requests an applicant have been made."""
        enough = len(tries) + 3 * len(applicants)
        while len(tries) < enough:
            assert not any(future.done() for future in holding)
            time.sleep(0.01)

    with ThreadPoolExecutor(len(applicants)) as pool:
        holding = [pool.submit(hold, applicant) for applicant in applicants]
        try:
            for _, instance in zip(range(KILLS), cycle(topology.instances), strict=False):
                go_on()
                instance.kill()
                go_on()
                instance.start()
        finally:
            over.set()
        transcripts = [future.result() for future in holding]

    with client(topology.url) as http:
        for applicant, said in zip(applicants, transcripts, strict=True):
            assert over_http(http).said(applicant) == said
    acknowledged = len(set(tries)) - len(applicants)
    print(f"{acknowledged} replies acknowledged in {len(tries)} tries, {KILLS} kills, none lost")


def test_a_retry_on_the_other_instance_gets_the_one_answer(
    topology: Topology, rehearsal: Rehearsal
) -> None:
    urls = [f"http://127.0.0.1:{instance.port}" for instance in topology.instances]
    with client(urls[0]) as one, client(urls[1]) as other:
        apis = [over_http(one), over_http(other)]
        key = "start-1"
        assert apis[0].start(key=key).status == 200
        assert apis[1].start(key=key).body == apis[0].start(key=key).body
        assert apis[1].start().status == 400

        # The first request is still under way when its client gives up and asks elsewhere.
        rehearsal.default = Behaviour(echo=True, delay=0.5)
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda api: api.reply("Hello", key="reply-1"), apis))
        assert [answer.body for answer in answers] == [{"system": "You said: Hello"}] * 2
        rehearsal.default = Behaviour(status=500)
        for api in apis:
            assert api.reply("Hello", key="reply-1").body == {"system": "You said: Hello"}
            assert api.said()[-2:] == ["Hello", "You said: Hello"]
            assert len(api.messages()) == 4
            assert api.reply("Else", key="reply-1").status == 422


def test_what_one_instance_has_answered_the_other_reads_at_once(topology: Topology) -> None:
    urls = cycle([f"http://127.0.0.1:{instance.port}" for instance in topology.instances])
    with client(next(urls)) as http:
        assert over_http(http).start().status == 200
    for number in range(5):
        with client(next(urls)) as http:
            answer = over_http(http).reply(f"Message {number}")
        with client(next(urls)) as http:
            assert over_http(http).said()[-2:] == [f"Message {number}", answer.body["system"]]
        next(urls)


def test_words_pass_the_balancer_as_they_come(topology: Topology, rehearsal: Rehearsal) -> None:
    with client(topology.url) as http:
        api = over_http(http)
        assert api.start().status == 200
        rehearsal.default = Behaviour(pieces=("Well, ", "Ana", "."), piece_pace=0.5)
        body = {**ANA.fields, "message": "Hello"}
        with opened(topology.url, "/reply", body) as stream:
            assert stream.next() == StreamEvent("delta", {"content": "Well, "})
            assert api.said()[2:] == ["Hello"]  # the rest is still to come
            assert rest_of(stream).last == StreamEvent("done", {"system": "Well, Ana."})
        assert api.said()[2:] == ["Hello", "Well, Ana."]


def test_with_no_instance_left_the_balancer_answers_in_json(topology: Topology) -> None:
    for instance in topology.instances:
        instance.kill()
    with client(topology.url) as http:
        answer = http.post("/reply", json={**ANA.fields, "message": "Hello"})
    assert answer.status_code == 503
    assert json.loads(answer.text)["error"].startswith("No instance")
    assert answer.headers["Retry-After"]


def test_names_pass_the_balancer_as_they_are(topology: Topology) -> None:
    with client(topology.url) as http:
        api = over_http(http)
        for name in ("Ana María", "a//b", "/", "50% + 1?", "ä&#;=", "a\\b"):
            applicant = ANA.named(name)
            assert api.start(applicant).status == 200
            assert len(api.messages(applicant)) == 2


def test_a_client_that_sends_slowly_does_not_reach_an_instance(topology: Topology) -> None:

    clients = []
    for _ in range(300):  # more than an instance has threads
        slow = socket.create_connection(("127.0.0.1", topology.nginx.port))
        slow.sendall(b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        clients.append(slow)
    with client(topology.url) as http:
        assert over_http(http).start().status == 200
    for slow in clients:
        slow.close()


def test_the_script_serves_without_a_key(tmp_path: Path) -> None:
    with fresh_schema(server_url()) as database_url:
        process = subprocess.Popen(
            [sys.executable, "tests/topology.py"],
            cwd=APP_FOLDER,
            env={"PATH": os.environ["PATH"], "TEST_DATABASE_URL": database_url},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        told = process.stdout.readline()
        try:
            (url,) = re.findall(r"http://\S+(?=;)", told)
            with client(url) as http:
                assert over_http(http).start().status == 200
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()
