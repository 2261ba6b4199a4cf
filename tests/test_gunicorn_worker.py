"""`gunicorn app:app` and nothing else: load, stalled clients, stops, health, log and metrics."""

import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from api import ANA, Api, Applicant, over_flask
from app import create_app
from config import Config
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from server import APP_FOLDER, Gunicorn, free_port
from web.service import service

MakeServer = Callable[..., Gunicorn]


def lines_of(server: Gunicorn) -> list[dict[str, Any]]:
    """The requests in the server's log."""
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line["logger"] == "request"]


def wait_for_log(server: Gunicorn, text: str) -> str:
    """Wait until the log holds the text, and return the log."""
    for _ in range(400):
        if text in (log := server.log.read_text()):
            return log
        time.sleep(0.05)
    raise AssertionError(log)


def test_the_command_alone_listens_on_port_on_all_interfaces(
    config: Config, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": config.openai_base_url or "",
        "DATABASE_URL": config.database_url,
    }
    command = [sys.executable, "-m", "gunicorn", "app:app"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=APP_FOLDER, env=environment, stdout=log, stderr=log)
    for _ in range(600):
        with suppress(httpx2.TransportError):
            assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            break
        time.sleep(0.05)
    assert f"Listening at: http://0.0.0.0:{port}" in (tmp_path / "log").read_text()
    process.terminate()
    assert process.wait(30) == 0


def test_replies_do_not_wait_for_one_another(make_server: MakeServer, rehearsal: Rehearsal) -> None:
    with make_server().start().api() as api, ThreadPoolExecutor(50) as pool:
        people = [ANA.named(f"Ana {number}") for number in range(50)]
        for person in people:
            api.start(person)
        rehearsal.default = Behaviour(delay=2)
        replying = [pool.submit(api.reply, "Hello", person) for person in people]
        # All fifty are with the model before the first has its answer.
        while len(rehearsal.requests) < 100:
            assert not any(reply.done() for reply in replying)
            time.sleep(0.01)
        assert {reply.result().status for reply in replying} == {200}


def test_what_is_too_much_is_refused_at_once_and_reads_go_on(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    server = make_server(WEB_CONCURRENCY="1", MAX_MODEL_CALLS="2", WORKER_THREADS="4").start()
    people = [ANA.named(name) for name in ("Ana", "Mei", "Zoe")]
    with server.api() as api, ThreadPoolExecutor() as pool:
        for person in people:
            api.start(person)
        rehearsal.default = Behaviour(delay=2)
        replying = [pool.submit(api.reply, "Hello", person) for person in people[:2]]
        while len(rehearsal.requests) < 5:
            time.sleep(0.01)
        for answer in (api.reply("Hello", people[2]), api.start(ANA.named("New"))):
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
        assert len(api.messages(people[2])) == 2
        assert api.messages(ANA.named("New")) == []
        assert not any(reply.done() for reply in replying)
        assert {reply.result().status for reply in replying} == {200}
        assert api.reply("Hello", people[2]).status == 200


HALF_A_HEAD = b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Ty"
HALF_A_BODY = (
    b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b'Content-Length: 500\r\n\r\n{"accessKey": "job'
)
HALF_A_CHUNK = (
    b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b'Transfer-Encoding: chunked\r\n\r\n40\r\n{"accessKey": "job'
)


@contextmanager
def stalled(server: Gunicorn, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Clients that send so much, and then nothing any more."""
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    for client in clients:
        client.sendall(sent)
    yield clients
    for client in clients:
        client.close()


@pytest.mark.parametrize("sent", [HALF_A_HEAD, HALF_A_BODY, HALF_A_CHUNK, b"P"])
def test_stalled_clients_do_not_stop_the_service(make_server: MakeServer, sent: bytes) -> None:
    server = make_server(WEB_CONCURRENCY="1", WORKER_THREADS="4", CLIENT_TIMEOUT="0.5").start()
    with stalled(server, sent, 12), server.api() as api:
        assert api.start().status == 200
        assert api.reply("Hello").status == 200


@pytest.mark.parametrize("sent", [HALF_A_BODY, HALF_A_CHUNK])
def test_a_stalled_body_is_408_in_json(make_server: MakeServer, sent: bytes) -> None:
    server = make_server(CLIENT_TIMEOUT="0.5").start()
    with stalled(server, sent, 1) as (client,):
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in answer
    assert b'{"error": "The body did not come in time.' in answer
    assert [line["status"] for line in lines_of(server)][-1] == 408


@contextmanager
def dripping(server: Gunicorn, sent: bytes, count: int) -> Iterator[None]:
    """Clients that send so much, and then a byte at a time, more often than CLIENT_TIMEOUT."""
    is_over = Event()
    with stalled(server, sent, count) as clients:

        def drip() -> None:
            while not is_over.wait(0.1):
                for client in clients:
                    with suppress(OSError):  # the service has closed it
                        client.sendall(b"a")

        thread = Thread(target=drip)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@pytest.mark.parametrize("sent", [HALF_A_HEAD, HALF_A_BODY, HALF_A_CHUNK])
def test_clients_that_drip_do_not_stop_the_service(make_server: MakeServer, sent: bytes) -> None:
    server = make_server(WEB_CONCURRENCY="1", WORKER_THREADS="4", CLIENT_TIMEOUT="5").start()
    with dripping(server, sent, 12), httpx2.Client(timeout=3) as client:
        for _ in range(3):
            answer = client.get(f"http://127.0.0.1:{server.port}/healthz")
            assert answer.status_code == 200


@pytest.mark.parametrize(
    ("sent", "answered"),
    [(HALF_A_HEAD, b""), (HALF_A_BODY, b"HTTP/1.1 408"), (HALF_A_CHUNK, b"HTTP/1.1 408")],
)
def test_a_request_has_a_time_of_its_own_to_arrive_in_however_it_drips(
    make_server: MakeServer, tmp_path: Path, sent: bytes, answered: bytes
) -> None:
    impatient = tmp_path / "impatient.conf.py"
    impatient.write_text(
        "from runpy import run_path\n"
        f"globals().update(run_path({str(APP_FOLDER / 'gunicorn.conf.py')!r}))\n"
        "from web import arriving_request\n"
        "arriving_request.TIME_TO_ARRIVE = 1.0\n"
    )
    server = make_server("--config", str(impatient), CLIENT_TIMEOUT="60").start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(sent)
        client.settimeout(0.1)
        answer = None
        for _ in range(200):
            with suppress(TimeoutError):
                answer = client.recv(10_000)
                break
            client.sendall(b"a")
    assert answer is not None
    assert answer[:12] == answered


def test_clients_that_connect_and_say_nothing_do_not_stop_the_service(
    make_server: MakeServer,
) -> None:
    server = make_server(
        "--worker-connections", "50", WEB_CONCURRENCY="1", WORKER_THREADS="4"
    ).start()
    with stalled(server, b"", 200), httpx2.Client(timeout=3) as client:
        for _ in range(3):
            answer = client.get(f"http://127.0.0.1:{server.port}/healthz")
            assert answer.status_code == 200
        # The next ones make room as well, and a connection that is kept alive stays.
        with stalled(server, b"P", 200):
            for _ in range(3):
                answer = client.get(f"http://127.0.0.1:{server.port}/healthz")
                assert answer.status_code == 200
    assert "to make room for others" in wait_for_log(server, "to make room for others")


def test_a_connection_that_says_nothing_is_closed_after_client_timeout(
    make_server: MakeServer,
) -> None:
    server = make_server(CLIENT_TIMEOUT="0.5").start()
    with stalled(server, b"", 1) as (client,), server.api() as api:
        client.settimeout(20)
        api.get("/healthz")
        assert client.recv(1) == b""
        # One that has had its answer is kept, for longer than that.
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as kept:
            for _ in range(2):
                kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                received = b""
                while not received.endswith(b"}\n"):
                    piece = kept.recv(1000)
                    assert piece
                    received += piece
                time.sleep(1.5)


def test_a_stop_waits_neither_for_silent_clients_nor_cuts_off_those_that_begin(
    make_server: MakeServer,
) -> None:
    server = make_server(WEB_CONCURRENCY="1", CLIENT_TIMEOUT="60").start()
    with stalled(server, b"", 3) as (client, *_), server.api() as api:
        api.get("/healthz")
        server.terminate()
        wait_for_log(server, "Handling signal: term")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(20)
        answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Connection: close" in answer
        assert server.wait() == 0  # within the 30 seconds that it waits


def test_requests_that_come_together_are_answered_in_turn(make_server: MakeServer) -> None:
    server = make_server().start()
    asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    posted = (
        b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    last = b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with stalled(server, asked + posted + asked + last, 1) as (client,):
        answers = client.makefile("rb").read()
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"400", b"200", b"404"]


def test_a_client_that_waits_for_100_continue_gets_it_once(make_server: MakeServer) -> None:
    server = make_server().start()
    head = (
        b"POST /reply HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    )
    with stalled(server, head, 1) as (client,):
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
    with stalled(server, head + b"{}", 1) as (client,):
        answers = client.makefile("rb").read()
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"100", b"400"]


def test_a_killed_worker_is_replaced(make_server: MakeServer) -> None:
    server = make_server().start()
    with server.api() as api:
        api.start()
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        for _ in range(200):
            with suppress(httpx2.TransportError):
                assert api.reply("Hello").status == 200
                break
            time.sleep(0.05)
        assert len(api.messages()) >= 4


def test_a_reply_under_way_ends_before_the_service_stops(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    server = make_server().start()
    with server.api() as api, ThreadPoolExecutor() as pool:
        api.start()
        rehearsal.default = Behaviour(delay=2)
        replying = pool.submit(api.reply, "Hello")
        while len(rehearsal.requests) < 2:
            time.sleep(0.01)
        server.terminate()
        assert replying.result().body == {"system": SCRIPT[1]}
    assert server.wait() == 0


# gunicorn.conf.py on a machine that is slow to let a new worker begin.
SLOW_START = """
import time
from pathlib import Path

__file__ = str(Path("gunicorn.conf.py").resolve())
exec(Path(__file__).read_text())
at_once = post_fork

def post_fork(server, worker):
    {first}
    print("Forked", flush=True)
    time.sleep(1)
    {then}
"""


@pytest.mark.parametrize(
    ("first", "then"), [("pass", "at_once(server, worker)"), ("at_once(server, worker)", "pass")]
)
def test_a_stop_while_a_worker_starts_is_not_lost(
    make_server: MakeServer, tmp_path: Path, first: str, then: str
) -> None:
    configuration = tmp_path / "slow.conf.py"
    configuration.write_text(SLOW_START.format(first=first, then=then))
    server = make_server("--config", str(configuration), WEB_CONCURRENCY="1")
    server.spawn()
    while "Forked" not in server.log.read_text():
        time.sleep(0.01)
    server.terminate()
    assert server.wait() == 0
    # Else the arbiter has killed the worker at the end of graceful_timeout.
    assert "SIGKILL" not in server.log.read_text()


def test_health_and_readiness(api: Api, rehearsal: Rehearsal) -> None:
    assert (api.get("/healthz").status, api.get("/healthz").body) == (200, {"status": "ok"})
    assert (api.get("/readyz").status, api.get("/readyz").body) == (200, {"status": "ready"})
    assert not rehearsal.requests


def test_a_service_whose_database_fails_is_alive_but_not_ready(config: Config) -> None:
    app = create_app(config)
    api = over_flask(app.test_client())
    assert api.get("/readyz").status == 200
    database: Any = service(app).database
    (connection,) = database._connections._idle
    connection.execute("PRAGMA query_only = ON")
    answer = api.get("/readyz")
    assert answer.status == 503
    assert "read-only" in answer.body["error"]
    assert api.get("/healthz").status == 200
    # It has recovered by itself.
    assert api.get("/readyz").status == 200
    service(app).close()


def test_a_request_id_is_kept_if_it_is_sane_and_made_otherwise(api: Api) -> None:
    def returned(given: str) -> str:
        answer = api.send("GET", "/healthz", headers={"X-Request-ID": given})
        return answer.headers["X-Request-ID"]

    assert returned("abc-123.4:5_6") == "abc-123.4:5_6"
    for odd in ("", "a b", 'a"b', "é", "x" * 129, "${jndi:ldap://x}"):
        assert re.fullmatch(r"[0-9a-f]{32}", returned(odd))
    assert re.fullmatch(r"[0-9a-f]{32}", api.get("/nope").headers["X-Request-ID"])


def test_the_log_has_a_line_for_each_request_with_its_figures(
    make_server: MakeServer, rehearsal: Rehearsal
) -> None:
    server = make_server().start()
    with server.api() as api:
        api.start()
        rehearsal.default = Behaviour(delay=0.2)
        answer = api.reply("Hello")
        api.get("/no/such/Ana")
        request_id = answer.headers["x-request-id"]
    started, replied, missed = lines_of(server)[-3:]
    assert (started["method"], started["route"]) == ("POST", "/start_interview")
    assert replied["request_id"] == request_id
    assert (replied["status"], replied["model"]) == (200, "gpt-4o-mini")
    assert replied["ms"] >= replied["model_ms"] >= 200
    assert replied["tokens_in"] > started["tokens_in"] > 0
    assert replied["tokens_out"] > 0
    assert (missed["route"], missed["status"], missed["model_ms"]) == ("none", 404, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", replied["time"])


def test_the_log_holds_no_personal_data(make_server: MakeServer, rehearsal: Rehearsal) -> None:
    server = make_server(METRICS="on", OPENAI_API_KEY="sk-MARKED-key").start()
    marked = Applicant("MARKED-job", "MARKED Ana", "MARKED@example.com")
    rehearsal.default = Behaviour(message={"content": "MARKED answer"})
    with server.api() as api:
        api.start(marked, "MARKED prompt", key="MARKED-idempotency")
        rehearsal.misbehave("refused_key", "html", "redirect", "overloaded", "overloaded")
        for number in range(5):
            api.reply(f"MARKED message {number}", marked)
        for endpoint in ("get_messages", "interview_status"):
            api.get(f"/{endpoint}/{marked.path}")
            api.get(f"/{endpoint}/{marked.path}/more?MARKED=1")
        for endpoint in ("get_applicants", "finished_interviews", "MARKED"):
            api.get(f"/{endpoint}/{quote(marked.access_key)}")
        api.send("MARKED", "/reply")
        api.post("/reply", {"MARKED": 1})
        api.send("POST", "/reply", data=b"MARKED", headers={"Content-Type": "application/json"})
        api.send("GET", "/healthz", headers={"X-Request-ID": "MARKED one"})
        measured = httpx2.get(f"http://127.0.0.1:{server.port}/metrics").text
    for sent in (
        b"GET /get_messages/MARKED HTTP/9.9\r\n\r\n",
        b"GET /get_messages/k/MARKED Ana/e HTTP/1.1\r\n\r\n",
        "GET /get_messages/k/MARKED Aná/e HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"GET /get_messages/k/MARKED" + b"A" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nMARKED header\r\n\r\n",
    ):
        with stalled(server, sent, 1) as (client,):
            client.settimeout(10)
            client.recv(1000)
    server.stop()
    assert len(lines_of(server)) > 15
    assert "MARKED" not in server.log.read_text()
    assert "MARKED" not in measured


@pytest.mark.parametrize("processes", ["1", "2"])
def test_metrics_count_all_processes_together(
    make_server: MakeServer, rehearsal: Rehearsal, processes: str
) -> None:
    server = make_server(METRICS="on", WEB_CONCURRENCY=processes).start()

    def measured() -> str:
        return httpx2.get(f"http://127.0.0.1:{server.port}/metrics").text

    people = [ANA.named(f"Ana {number}") for number in range(20)]
    with ThreadPoolExecutor(10) as pool:

        def hold(person: Applicant) -> None:
            with server.api() as api:  # a connection of its own, to whichever process
                api.start(person)
                api.reply("Hello", person)

        list(pool.map(hold, people))
    rehearsal.misbehave("cut_off")
    with server.api() as api:
        api.reply("Hello", people[0])
        rehearsal.default = Behaviour(delay=1.5)
        with ThreadPoolExecutor() as pool:
            replying = pool.submit(api.reply, "Hello", people[1])
            while len(rehearsal.requests) < 42:
                time.sleep(0.01)
            assert re.search(r"^tukma_turns_under_way 1\.0$", measured(), re.MULTILINE)
            replying.result()

    figures = measured()
    for line in (
        'tukma_requests_total{method="POST",route="/start_interview",status="200"} 20.0',
        'tukma_requests_total{method="POST",route="/reply",status="200"} 21.0',
        'tukma_requests_total{method="POST",route="/reply",status="500"} 1.0',
        'tukma_request_seconds_count{method="POST",route="/reply"} 22.0',
        'tukma_waiting_seconds_count{method="POST",route="/reply"} 22.0',
        'tukma_model_failures_total{kind="not_whole"} 1.0',
        "tukma_turns_under_way 0.0",
    ):
        assert line in figures
    for direction in ("in", "out"):
        total = rf'^tukma_tokens_total{{direction="{direction}",model="gpt-4o-mini"}} [1-9]'
        assert re.search(total, figures, re.MULTILINE)


def test_metrics_are_off_unless_they_are_turned_on(api: Api) -> None:
    assert api.get("/metrics").status == 404


def test_tls_is_refused_at_the_start(make_server: MakeServer, tmp_path: Path) -> None:
    certificate = tmp_path / "some.pem"
    certificate.touch()
    server = make_server("--certfile", str(certificate), "--keyfile", str(certificate))
    server.spawn()
    assert server.wait() != 0
    assert "The service speaks no TLS" in server.log.read_text()


# Prints how many heaps glibc has for four threads that run at once.
HEAPS = """
import ctypes, os, tempfile
from threading import Barrier, Thread
from web.gunicorn_worker import share_one_heap

if {is_shared}:
    share_one_heap()
together = Barrier(4)
threads = [Thread(target=together.wait) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    file.seek(0)
    print(file.read().count(b"<heap nr"))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several heaps")
def test_threads_can_share_one_heap() -> None:
    def heaps(*, is_shared: bool) -> int:
        command = [sys.executable, "-c", HEAPS.format(is_shared=is_shared)]
        return int(subprocess.run(command, cwd=APP_FOLDER, capture_output=True, check=True).stdout)

    assert heaps(is_shared=False) > 1
    assert heaps(is_shared=True) == 1
