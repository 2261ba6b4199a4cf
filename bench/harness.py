"""The parts of every measure: servers, load, calls that take turns, and rows of the table."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.servers import PROJECT, Server, free_port

ROUNDS = 5
# A closing phrase that no model says, so that interviews do not end.
ENDLESS = "Rien ne va plus"


class Row(NamedTuple):
    """A line of the table."""

    measure: str
    compared: str
    ours: str
    must: str
    aim: str
    is_met: bool


class Bench:
    """The servers of the measure under way, and what all measures have found so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._servers = ExitStack()

    def serve(self, command: list[str], port: int, **settings: str) -> Server:
        """Start a server, which lives until `stop_servers`."""
        server = Server(command, port, **settings)
        self._servers.callback(server.stop)
        return server

    def stop_servers(self) -> None:
        """Stop what was started for this measure."""
        self._servers.close()

    def rehearsal(self, *options: str) -> str:
        """Start what stands in for OpenAI, and return its URL."""
        port = free_port()
        command = [sys.executable, "-m", "openai_api.rehearsal", "--port", str(port), *options]
        self.serve(command, port)
        return f"http://127.0.0.1:{port}/v1"

    def ours(self, name: str, upstream: str, *, app: str = "app:app", **settings: str) -> Server:
        """Start the service as it is deployed, with settings that differ."""
        port = free_port()
        return self.serve(
            [sys.executable, "-m", "gunicorn", app],
            port,
            **{
                "PORT": str(port),
                "OPENAI_BASE_URL": upstream,
                "DATABASE_URL": f"sqlite:///{self.folder}/{name}.db",
                "CLOSING_PHRASE": ENDLESS,
                # Counted as ever, and never reached.
                "LIMIT_REPLIES": "1000000/second",
                "LIMIT_STARTS": "1000000/second",
                "LIMIT_SCORES": "1000000/second",
                **settings,
            },
        )

    def fastapi(self, name: str, upstream: str) -> Server:
        """Start the FastAPI service that ours is compared with."""
        port = free_port()
        settings = {
            "DATABASE_PATH": f"{self.folder}/{name}-fastapi.db",
            "OPENAI_BASE_URL": upstream,
        }
        subprocess.run(
            [sys.executable, "-m", "bench.fastapi_service"],
            cwd=PROJECT,
            env={**os.environ, "OPENAI_API_KEY": "bench", **settings},
            check=True,
        )
        uvicorn = [sys.executable, "-m", "uvicorn", "bench.fastapi_service:app"]
        return self.serve(
            [
                *uvicorn,
                f"--port={port}",
                "--workers=2",
                "--no-access-log",
                "--timeout-keep-alive=75",
            ],
            port,
            **settings,
        )

    def row(
        self, measure: str, compared: str, ours: str, must: str, aim: str, *, is_met: bool
    ) -> None:
        """Add a row to the table."""
        self.rows.append(Row(measure, compared, ours, must, aim, is_met))
        print(f"{measure}: {compared}; ours {ours} (must {must})", file=sys.stderr, flush=True)


@contextmanager
def measured_folder() -> Iterator[Path]:
    """Give a folder on the project's own disk: a temporary one may be in memory."""
    with tempfile.TemporaryDirectory(dir=PROJECT, prefix=".bench-") as folder:
        yield Path(folder)


def begin_load(
    server: Server,
    label: str,
    connections: int,
    *,
    each: int,
    seconds: float = 0,
    rate: float | None = None,
    start: bool = False,
    stream: bool = False,
) -> subprocess.Popen[str]:
    """Let applicants loose on a server; the options are those of `load.py`."""
    command = [sys.executable, "-m", "bench.load", "--port", str(server.port), "--label", label]
    command += ["--connections", str(connections), "--each", str(each)]
    command += ["--start"] if start else ["--seconds", str(seconds)]
    command += ["--rate", str(rate)] if rate is not None else []
    command += ["--stream"] if stream else []
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def end_load(begun: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the load's end, and return its result."""
    output, _ = begun.communicate(timeout=120)
    if begun.returncode:
        raise RuntimeError(f"the load ended with {begun.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result


def load(server: Server, label: str, connections: int, **options: Any) -> dict[str, Any]:
    """Load a server, and return the result."""
    return end_load(begin_load(server, label, connections, **options))


class Figures(NamedTuple):
    """The figures of a server under load, medians of its rounds; times are in seconds."""

    rate: float
    """Replies a second."""
    cpu: float
    """Processor time of the server a reply."""
    p95: float
    load_share: float
    """The share of two cores that the load took."""


def load_in_turn(
    servers: dict[str, Server],
    connections: int,
    *,
    each: int,
    seconds: float,
    rounds: int = ROUNDS,
    stream: bool = False,
) -> dict[str, Figures]:
    """Load the servers in turn, after their interviews are started; no reply may fail."""
    label = f"{connections} {'streams' if stream else 'replies'} at once"
    for server in servers.values():
        assert not load(server, label, connections, each=each, start=True)["errors"]
    taken: dict[str, list[Figures]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            before = server.cpu()
            result = load(server, label, connections, each=each, seconds=seconds, stream=stream)
            assert not result["errors"]
            taken[name].append(
                Figures(
                    rate=result["replies"] / result["seconds"],
                    cpu=(server.cpu() - before) / result["replies"],
                    p95=result["p95"],
                    load_share=result["cpu"] / result["seconds"] / 2,
                )
            )
    return {
        name: Figures(*(statistics.median(column) for column in zip(*figures, strict=True)))
        for name, figures in taken.items()
    }


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
            timed(call)
    medians: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken = [timed(call) for _ in range(times)]
            medians[name].append(statistics.median(taken))
    return {name: statistics.median(values) for name, values in medians.items()}


def ms(seconds: float) -> str:
    """Return the time in milliseconds, to be read."""
    return f"{seconds * 1000:.1f} ms"


def us(seconds: float) -> str:
    """Return the time in microseconds, to be read."""
    return f"{seconds * 1_000_000:.0f} us"
