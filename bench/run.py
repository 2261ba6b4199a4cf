"""Measures the service against the bare OpenAI client and against a plain FastAPI service.

Every figure is a ratio within this run, from medians of several rounds in which the systems take
turns. Prints a table and writes it to RESULTS.md. Linux only: processor time and memory come from
/proc.
"""

import http.client
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent
sys.path.insert(0, str(PROJECT))

from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from config import Config
from db import Applicant, InterviewKey, Messages, open_database
from storage.sqlite.connections import connect

ROUNDS = 5
TICKS = os.sysconf("SC_CLK_TCK")
# Nobody says it, so that interviews do not end.
ENDLESS = "Rien ne va plus"
# Of each of the 200 streams, and seconds from the first to the last.
PIECES = 40
STREAM = 2.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process with its children, that listens on `port`."""

    def __init__(self, command: list[str], port: int, **settings: str) -> None:
        self.port = port
        self._process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, "OPENAI_API_KEY": "bench", **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.1)
            else:
                time.sleep(4)  # who listens may not serve yet
                return
        raise RuntimeError(f"{command} does not listen")

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _pids(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "-o", "pid=", "-s", str(self._process.pid)],
            capture_output=True,
            check=True,
            text=True,
        )
        return [int(pid) for pid in listed.stdout.split()]

    def cpu(self) -> float:
        """Return the seconds of processor time that it has taken so far."""
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def memory(self) -> float:
        """Return its megabytes, what its processes share counted once (PSS)."""
        kilobytes = 0
        for pid in self._pids():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes += int(rollup.split("\nPss:")[1].split()[0])
        return kilobytes / 1024


class Bench:
    """The systems, and what is measured of them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self.rows: list[tuple[str, str, str, str, str, bool]] = []
        self.notes: list[str] = []
        self.upstream = self._rehearsal()
        self.slow_upstream = self._rehearsal("--delay", "1")

    def _serve(self, command: list[str], port: int, **settings: str) -> Server:
        server = Server(command, port, **settings)
        self._stack.callback(server.stop)
        return server

    def _rehearsal(self, *options: str) -> str:
        port = free_port()
        self._serve(
            [sys.executable, "-m", "openai_api.rehearsal", "--port", str(port), *options], port
        )
        return f"http://127.0.0.1:{port}/v1"

    def stop_all(self) -> None:
        """Stop what was started for this measure."""
        self._stack.pop_all().close()

    def ours(self, name: str, upstream: str, **settings: str) -> Server:
        """Start the service as it is deployed, with settings that differ."""
        port = free_port()
        return self._serve(
            [sys.executable, "-m", "gunicorn", "app:app"],
            port,
            **{
                "PORT": str(port),
                "OPENAI_BASE_URL": upstream,
                "DATABASE_URL": f"sqlite:///{self._folder}/{name}.db",
                "CLOSING_PHRASE": ENDLESS,
                # Counted as ever, and never reached.
                "LIMIT_REPLIES": "1000000/second",
                "LIMIT_STARTS": "1000000/second",
                **settings,
            },
        )

    def fastapi(self, name: str, upstream: str) -> Server:
        """Start what it is compared with."""
        port = free_port()
        path = f"{self._folder}/{name}-fastapi.db"
        subprocess.run(
            [sys.executable, "-c", "import fastapi_service as f; f.create_database()"],
            cwd=FOLDER,
            env={**os.environ, "OPENAI_API_KEY": "bench", "DATABASE_PATH": path},
            check=True,
        )
        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(FOLDER)]
        return self._serve(
            [*uvicorn, "fastapi_service:app", f"--port={port}", "--workers=2", "--no-access-log"],
            port,
            OPENAI_BASE_URL=upstream,
            DATABASE_PATH=path,
        )

    def row(
        self, measure: str, compared: str, ours: str, must: str, aim: str, *, is_met: bool
    ) -> None:
        """Add a row to the table."""
        self.rows.append((measure, compared, ours, must, aim, is_met))
        print(f"{measure}: {compared}; ours {ours} (must {must})", file=sys.stderr, flush=True)

    def one_at_a_time(self) -> None:
        """Take the median of single replies: floor, ours and FastAPI's in turn."""
        floor = bare_client(self.upstream)
        ours = SingleApplicants(self.ours("single", self.upstream).port)
        fastapi = SingleApplicants(self.fastapi("single", self.upstream).port)
        medians = in_turn({"floor": floor, "ours": ours.reply, "fastapi": fastapi.reply}, 100)
        ratio = medians["ours"] / medians["floor"]
        self.row(
            "one reply, model without delay, median",
            f"floor {ms(medians['floor'])}, FastAPI {ms(medians['fastapi'])} "
            f"({medians['fastapi'] / medians['floor']:.2f} x)",
            f"{ms(medians['ours'])}, {ratio:.2f} x floor",
            "<= 3.8 x",
            "2.8 x",
            is_met=ratio <= 3.8,
        )

    def sixteen_at_once(self) -> None:
        """Compare throughput, and processor time a reply, at 16 at once."""
        servers = {
            "ours": self.ours("sixteen", self.upstream),
            "fastapi": self.fastapi("sixteen", self.upstream),
        }
        for server in servers.values():
            load(server, "sixteen", 16, each=25, start=True)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        cpu: dict[str, list[float]] = {name: [] for name in servers}
        p95: dict[str, list[float]] = {name: [] for name in servers}
        share = []
        for _ in range(ROUNDS):
            for name, server in servers.items():
                before = server.cpu()
                result = load(server, "sixteen", 16, each=25, seconds=4)
                rates[name].append(result["replies"] / result["seconds"])
                cpu[name].append((server.cpu() - before) / result["replies"])
                p95[name].append(result["p95"])
                share.append(result["cpu"] / result["seconds"] / 2)
                assert not result["errors"]
        rate = {name: statistics.median(values) for name, values in rates.items()}
        tail = {name: statistics.median(values) for name, values in p95.items()}
        ratio = rate["ours"] / rate["fastapi"]
        self.row(
            "replies/s at 16 at once, model without delay",
            f"FastAPI {rate['fastapi']:.0f}/s, p95 {ms(tail['fastapi'])}",
            f"{rate['ours']:.0f}/s, {ratio:.2f} x FastAPI, p95 {ms(tail['ours'])}",
            ">= 1.5 x, p95 <= 100 ms",
            "2 x",
            is_met=ratio >= 1.5 and tail["ours"] <= 0.1,
        )
        each = {name: statistics.median(values) for name, values in cpu.items()}
        ratio = each["ours"] / each["fastapi"]
        self.row(
            "processor time of the service a reply",
            f"FastAPI {ms(each['fastapi'])}",
            f"{ms(each['ours'])}, {ratio:.2f} x FastAPI",
            "<= 0.6 x",
            "0.4 x",
            is_met=ratio <= 0.6,
        )
        self.notes.append(
            f"At 16 at once the load took {statistics.median(share):.0%} of the two cores."
        )

    def two_hundred_at_once(self) -> None:
        """Compare 200 applicants at once whose model takes a second."""
        servers = {
            "ours": self.ours("many", self.slow_upstream),
            "fastapi": self.fastapi("many", self.slow_upstream),
        }
        idle = servers["ours"].memory()
        for server in servers.values():
            load(server, "many", 200, each=1, start=True)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        p95: dict[str, list[float]] = {name: [] for name in servers}
        busy, share, errors = [], [], 0
        for _ in range(3):
            for name, server in servers.items():
                begun = begin_load(server, "many", 200, each=1, seconds=8)
                if name == "ours":
                    time.sleep(4)
                    busy.append(server.memory())
                result = end_load(begun)
                rates[name].append(result["replies"] / result["seconds"])
                p95[name].append(result["p95"])
                share.append(result["cpu"] / result["seconds"] / 2)
                if name == "ours":
                    errors += result["errors"]
        rate = {name: statistics.median(values) for name, values in rates.items()}
        tail = {name: statistics.median(values) for name, values in p95.items()}
        ratio = rate["ours"] / rate["fastapi"]
        self.row(
            "200 applicants at once, model takes 1 s",
            f"FastAPI {rate['fastapi']:.0f}/s, p95 {tail['fastapi']:.2f} s",
            f"{rate['ours']:.0f}/s, {ratio:.2f} x FastAPI, p95 {tail['ours']:.2f} s, "
            f"{errors} errors",
            ">= 1.2 x, p95 <= 1.5 s, no error",
            "1.35 x, p95 <= 1.25 s",
            is_met=ratio >= 1.2 and tail["ours"] <= 1.5 and not errors,
        )
        under_way = statistics.median(busy)
        self.row(
            "memory of all processes, idle / 200 replies under way",
            "",
            f"{idle:.0f} / {under_way:.0f} MB",
            "<= 125 / 175 MB",
            "100 / 140 MB",
            is_met=idle <= 125 and under_way <= 175,
        )
        self.notes.append(
            f"At 200 at once the load took {statistics.median(share):.0%} of the two cores."
        )

    def first_word(self) -> None:
        """Take the median time to a stream's first words, and what the model takes of it."""
        upstream = self._rehearsal("--pieces", "3", "--pace", "0.005")
        floor = bare_stream(upstream)
        ours = StreamingApplicants(self.ours("first", upstream).port)
        medians = in_turn({"floor": floor, "ours": ours.reply}, 60, timed=first_word)
        added = medians["ours"] - medians["floor"]
        self.row(
            "a stream's first words, model without delay, median",
            f"floor {ms(medians['floor'])}",
            f"{ms(medians['ours'])}, {ms(added)} more",
            "<= 4 ms more",
            "",
            is_met=added <= 0.004,
        )

    def two_hundred_streams(self) -> None:
        """Compare 200 streams at once of 40 pieces over 2 s with the ideal, and with plain ones."""
        upstream = self._rehearsal("--pieces", str(PIECES), "--pace", str(STREAM / (PIECES - 1)))
        server = self.ours("streams", upstream)
        plain = self.ours("plain", self._rehearsal("--delay", str(STREAM)))
        bare, each, longest, going_on, streaming, replying = [], [], [], [], [], []
        errors = 0
        for number in range(ROUNDS):
            label = f"round {number}"
            bare.append(bare_streams(upstream))
            for started in (plain, server):
                load(started, label, 200, each=1, start=True)
            begun = begin_load(plain, label, 200, each=1)
            replying.append(memory_of(plain))
            end_load(begun)
            before = server.cpu()
            begun = begin_load(server, label, 200, each=1, stream=True)
            streaming.append(memory_of(server))
            result = end_load(begun)
            each.append((server.cpu() - before) / result["pieces"])
            longest.append(result["longest"])
            errors += result["errors"]
            result = load(server, label, 200, each=1, seconds=2 * STREAM, stream=True)
            going_on.append(result["longest"])
            errors += result["errors"]
        ratio = statistics.median(longest) / STREAM
        self.row(
            f"200 streams at once, {PIECES} pieces over {STREAM:.0f} s",
            f"ideal {STREAM:.2f} s",
            f"all within {statistics.median(longest):.2f} s, {ratio:.2f} x, {errors} errors",
            "<= 1.25 x, no piece out of order",
            "",
            is_met=ratio <= 1.25 and not errors,
        )
        ratio = statistics.median(going_on) / STREAM
        self.row(
            "the same, if whose stream ends begins the next one at once",
            f"ideal {STREAM:.2f} s",
            f"all within {statistics.median(going_on):.2f} s, {ratio:.2f} x",
            "no piece out of order",
            "",
            is_met=not errors,
        )
        ratio = statistics.median(each) / statistics.median(bare)
        self.row(
            "processor time of the service a streamed piece",
            f"bare client {us(statistics.median(bare))}",
            f"{us(statistics.median(each))}, {ratio:.2f} x",
            "<= 3 x",
            "2 x",
            is_met=ratio <= 3,
        )
        streams, replies = statistics.median(streaming), statistics.median(replying)
        self.row(
            "memory of all processes, 200 streams under way",
            f"200 plain replies {replies:.0f} MB",
            f"{streams:.0f} MB, {streams / replies:.2f} x",
            "<= 175 MB, as for plain ones",
            "1 x",
            is_met=streams <= 175,
        )

    def long_history(self) -> None:
        """Compare the same turn after 400 messages and after 20."""
        name = "history"
        seed(self._folder / f"{name}.db", "short", interviews=60, messages=20)
        seed(self._folder / f"{name}.db", "long", interviews=60, messages=400)
        port = self.ours(name, self.upstream).port
        short = SeededApplicants(port, "short", 60)
        long = SeededApplicants(port, "long", 60)
        medians = in_turn({"short": short.reply, "long": long.reply}, 60)
        ratio = medians["long"] / medians["short"]
        self.row(
            "the same turn with 400 messages of history against 20",
            f"20: {ms(medians['short'])}",
            f"400: {ms(medians['long'])}, {ratio:.2f} x",
            "<= 1.6 x",
            "1.2 x",
            is_met=ratio <= 1.6,
        )

    def large_file(self) -> None:
        """Compare the same turn in a file of a million messages and in an empty one."""
        seed(self._folder / "large.db", "other", interviews=25_000, messages=40)
        large = SingleApplicants(self.ours("large", self.upstream).port)
        empty = SingleApplicants(self.ours("empty", self.upstream).port)
        medians = in_turn({"empty": empty.reply, "large": large.reply}, 100)
        ratio = medians["large"] / medians["empty"]
        self.row(
            "the same turn with 1,000,000 messages in the file against an empty one",
            f"empty: {ms(medians['empty'])}",
            f"1,000,000: {ms(medians['large'])}, {ratio:.2f} x",
            "<= 1.15 x",
            "1.05 x",
            is_met=ratio <= 1.15,
        )

    def many_applicants(self) -> None:
        """Compare listing 10,000 applicants with only serialising the answer."""
        seed(self._folder / "list.db", "listed", interviews=10_000, messages=40)
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.ours("list", self.upstream).port, timeout=60
        )
        database = open_database(bench_config(self._folder / "list.db"))
        with database.reading() as session:
            applicants = Messages(session).applicants("seeded")
        assert len(applicants) == 10_000
        database.close()

        def listing() -> None:
            connection.request("GET", "/get_applicants/seeded")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200

        medians = in_turn({"ours": listing, "serialising": lambda: serialised(applicants)}, 20)
        ratio = medians["ours"] / medians["serialising"]
        self.row(
            "get_applicants for 10,000 applicants of 40 messages each",
            f"only serialising {ms(medians['serialising'])}",
            f"{ms(medians['ours'])}, {ratio:.2f} x",
            "<= 3 x",
            "1.5 x",
            is_met=ratio <= 3,
        )


def serialised(applicants: list[Applicant]) -> bytes:
    listed = [
        {"name": name, "email": email, "is_finished": int(is_finished)}
        for name, email, is_finished in applicants
    ]
    return json.dumps({"status": "success", "applicants": listed}, ensure_ascii=False).encode()


def duration(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(
    calls: dict[str, Callable[[], Any]],
    times: int,
    timed: Callable[[Callable[[], Any]], float] = duration,
) -> dict[str, float]:
    """Return the median seconds of each call: medians of rounds in which they take turns."""
    for call in calls.values():
        for _ in range(10):
            call()
    medians: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken = [timed(call) for _ in range(times)]
            medians[name].append(statistics.median(taken))
    return {name: statistics.median(values) for name, values in medians.items()}


def bare_client(upstream: str) -> Callable[[], object]:
    """Return a call of the OpenAI client by itself: what nobody can beat who uses it."""
    client = OpenAI(api_key="bench", base_url=upstream)
    messages = [
        {"role": "system", "content": "You interview."},
        {"role": "assistant", "content": "Welcome. Please tell me about yourself."},
        {"role": "user", "content": TURN},
    ]
    body = {"model": "gpt-4o-mini", "messages": messages}
    return lambda: client.post("/chat/completions", cast_to=ChatCompletion, body=body)


def bare_stream(upstream: str) -> Callable[[], Iterator[str]]:
    """Return a call of the OpenAI client by itself that streams."""
    client = OpenAI(api_key="bench", base_url=upstream)
    messages = [
        {"role": "system", "content": "You interview."},
        {"role": "assistant", "content": "Welcome. Please tell me about yourself."},
        {"role": "user", "content": TURN},
    ]
    body = {
        "model": "gpt-4o-mini",
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    def call() -> Iterator[str]:
        with client.post(
            "/chat/completions",
            cast_to=ChatCompletionChunk,
            body=body,
            stream=True,
            stream_cls=Stream[ChatCompletionChunk],
        ) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    return call


def first_word(call: Callable[[], Iterator[object]]) -> float:
    """Return the seconds until a stream's first piece; the others are read as well."""
    began = time.perf_counter()
    pieces = call()
    next(pieces)
    taken = time.perf_counter() - began
    for _ in pieces:
        pass
    return taken


def bare_streams(upstream: str) -> float:
    """Return the seconds of processor time that the client takes for a piece, 100 at once."""
    code = (
        "import sys, time; from concurrent.futures import ThreadPoolExecutor\n"
        "from run import bare_stream\n"
        "call = bare_stream(sys.argv[1]); list(call())\n"
        "pool = ThreadPoolExecutor(100); began = time.process_time()\n"
        "pieces = sum(pool.map(lambda _: len(list(call())), range(200)))\n"
        "print((time.process_time() - began) / pieces)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, upstream],
        cwd=FOLDER,
        capture_output=True,
        check=True,
        text=True,
    )
    return float(done.stdout)


TURN = "I have worked in intensive care for eight years, the last three as head of a team."


class SingleApplicants:
    """Applicants one after the other, of whom each says twenty things."""

    def __init__(self, port: int, label: str = "Applicant") -> None:
        self._label = label
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._replies = self._requests()

    def reply(self) -> None:
        self._post("/reply", next(self._replies), message=TURN)

    def _requests(self) -> Iterator[str]:
        for number in range(100_000):
            name = f"{self._label} {number // 20}"
            if number % 20 == 0:
                self._post("/start_interview", name, prompt="You interview.")
            yield name

    def _post(self, path: str, name: str, **text: str) -> None:
        body = {"accessKey": "seeded", "name": name, "email": "a@example.com", **text}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content


class StreamingApplicants(SingleApplicants):
    """Applicants one after the other whose replies are streamed."""

    def reply(self) -> Iterator[bytes]:  # type: ignore[override]
        body = {"accessKey": "seeded", "name": next(self._replies), "email": "a@example.com"}
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        self._connection.request("POST", "/reply", json.dumps({**body, "message": TURN}), headers)
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield line


class SeededApplicants(SingleApplicants):
    """Applicants of a seeded file, in turn, so that no interview grows much."""

    def __init__(self, port: int, label: str, count: int) -> None:
        self._count = count
        super().__init__(port, label)

    def _requests(self) -> Iterator[str]:
        for number in range(100_000):
            yield f"{self._label} {number % self._count}"


def bench_config(path: Path) -> Config:
    return Config(openai_api_key="bench", database_url=f"sqlite:///{path}", closing_phrase=ENDLESS)


def seed(path: Path, label: str, interviews: int, messages: int) -> None:
    """Write interviews of so many messages each, prompt included, into a file of ours."""
    open_database(bench_config(path)).close()
    connection = connect(path, 60)
    connection.execute("PRAGMA synchronous = OFF")  # only while it is made
    connection.execute("BEGIN")
    for interview in range(interviews):
        key = InterviewKey("seeded", f"{label} {interview}", "a@example.com")
        connection.executemany(
            "INSERT INTO messages"
            " (role, content, date_created, is_finished, access_key, name, email)"
            " VALUES (?, ?, '2026-01-01 12:00:00.000000', 0, ?, ?, ?)",
            (
                ("user" if number and number % 2 == 0 else "system", TURN, *key)
                for number in range(messages)
            ),
        )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def begin_load(
    server: Server,
    label: str,
    connections: int,
    *,
    each: int,
    seconds: float = 0,
    start: bool = False,
    stream: bool = False,
) -> subprocess.Popen[str]:
    command = [sys.executable, str(FOLDER / "load.py"), "--port", str(server.port)]
    command += ["--label", label, "--connections", str(connections), "--each", str(each)]
    command += ["--start"] if start else ["--seconds", str(seconds)]
    command += ["--stream"] if stream else []
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end_load(begun: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = begun.communicate(timeout=120)
    result: dict[str, Any] = json.loads(output)
    return result


def load(server: Server, label: str, connections: int, **options: Any) -> dict[str, Any]:
    return end_load(begin_load(server, label, connections, **options))


def memory_of(server: Server) -> float:
    """Return the megabytes of a server in the middle of what it was just given to do."""
    time.sleep(STREAM * 0.75)
    return server.memory()


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def us(seconds: float) -> str:
    return f"{seconds * 1_000_000:.0f} us"


def report(bench: Bench) -> str:
    """Return the results as they stand in RESULTS.md."""
    packages = ("flask", "gunicorn", "openai", "httpx2", "fastapi", "uvicorn", "aiosqlite")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# Results",
        "",
        "Made by `make bench`; nothing here is written by hand.",
        "",
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, {platform.machine()}",
        f"- Python {platform.python_version()}, {versions}",
        "- Upstream, load and service on the same machine; every commit of ours synced"
        " (`synchronous=FULL`). Medians of rounds in which the compared systems take turns.",
        *(f"- {note}" for note in bench.notes),
        "",
        "| measure | compared with | ours | must | aim | must is met |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {' | '.join(cells)} | {'yes' if is_met else '**no**'} |"
            for *cells, is_met in bench.rows
        ),
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def measured_folder() -> Iterator[Path]:
    """Give a folder on the project's own disk: a temporary one may be in memory."""
    with tempfile.TemporaryDirectory(dir=PROJECT, prefix=".bench-") as folder:
        yield Path(folder)


def main() -> None:
    """Measure everything."""
    import on_postgresql  # which imports from here

    measures: list[Callable[[Bench], None]] = [
        Bench.one_at_a_time,
        Bench.sixteen_at_once,
        Bench.two_hundred_at_once,
        Bench.first_word,
        Bench.two_hundred_streams,
        Bench.long_history,
        Bench.large_file,
        Bench.many_applicants,
        on_postgresql.measure,
    ]
    with measured_folder() as folder, ExitStack() as stack:
        bench = Bench(stack, folder)
        for measure in measures:
            with ExitStack() as servers:
                bench._stack = servers
                measure(bench)
    text = report(bench)
    (FOLDER / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
