"""The service as it is deployed: gunicorn in processes of its own."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2

from api import Api, over_http

APP_FOLDER = Path(__file__).resolve().parent.parent

# Seconds for a server to start or to stop, on a machine that does a lot besides.
PATIENCE = 90

# No test speaks TLS to the world. A folder that holds no certificate spares each HTTP client, and
# each app has one, the 25 ms that reading those of all authorities takes.
NO_AUTHORITIES = {"SSL_CERT_DIR": str(APP_FOLDER / "tests")}
os.environ |= NO_AUTHORITIES

# The sockets that keep ports for this process.
_kept: list[socket.socket] = []


def free_port() -> int:
    """Return a port for a server that is started later, kept from everybody else until then.

    On Linux a socket that is bound and does not listen keeps the kernel from giving the port to a
    client's connection or to another `free_port()`, also of a test that runs in parallel. A server
    that sets SO_REUSEADDR, as all do, may listen on it nevertheless.
    """
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        # After bind(), as the kernel may hand out one port twice to those who set it before.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept.append(probe)
    else:
        probe.close()
    return port


def wait_until_it_answers(port: int, log: Path) -> None:
    """Return once the server answers a request, whatever the answer is."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if client.recv(1):
                return
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def run_command(url: str, command: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run one of the project's commands on a database, with nothing else in the environment."""
    return subprocess.run(
        [sys.executable, "-m", "commands", command, *map(str, arguments)],
        cwd=APP_FOLDER,
        env={"DATABASE_URL": url, "PATH": ""},
        capture_output=True,
        check=False,
        text=True,
    )


@contextmanager
def development_server(folder: Path) -> Iterator[int]:
    """`make run` without a key, on the port that is given; the log is `folder/log`."""
    port = free_port()
    settings = {
        "PATH": os.environ["PATH"],
        "OPENAI_API_KEY": "",
        "DATABASE_URL": f"sqlite:///{folder}/messages.db",
        "PORT": str(port),
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--rehearse"],
            cwd=APP_FOLDER,
            env=settings,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it restarts itself as a child, which must end with it
        )
    try:
        wait_until_it_answers(port, log)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Spawner:
    """The process of `spawner.py`, which starts gunicorn for this one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process = subprocess.Popen(
            [sys.executable, "tests/spawner.py"],
            cwd=APP_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.communicate)

    def ask(self, **request: Any) -> Any:
        """Send a request, and return the answer."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            print(json.dumps(request), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())


@cache
def spawner() -> Spawner:
    """Return the one that this process has."""
    return Spawner()


class Forked:
    """A gunicorn that the spawner has started, with as much of `subprocess.Popen` as is needed."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self._status: int | None = None
        self.pid: int = spawner().ask(arguments=arguments, environment=environment, log=str(log))

    def poll(self) -> int | None:
        """Return its status if it has ended."""
        if self._status is None:
            self._status = spawner().ask(status_of=self.pid)
        return self._status

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for it to end, and return its status."""
        give_up = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > give_up:
                raise subprocess.TimeoutExpired("gunicorn", timeout)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Gunicorn:
    """`gunicorn app:app` on a port of its own, with a log that can be read."""

    def __init__(self, log: Path, settings: dict[str, str], *arguments: str) -> None:
        self.port = free_port()
        self.log = log
        self._settings = settings
        self._arguments = arguments
        self._process: Forked | None = None

    def start(self) -> "Gunicorn":
        """Start it, and return once it answers."""
        self.spawn()
        return self.answering()

    def answering(self) -> "Gunicorn":
        """Wait until it answers."""
        wait_until_it_answers(self.port, self.log)
        return self

    def spawn(self) -> None:
        """Start it, come what may."""
        # Settings that are blank count as unset, and are not filled in from a developer's .env.
        environment = {"OPENAI_MODEL": "", "CLOSING_PHRASE": "", "PATH": os.environ["PATH"]}
        environment |= NO_AUTHORITIES
        self.log.touch()
        self._process = Forked(
            ["app:app", "--bind", f"127.0.0.1:{self.port}", *self._arguments],
            {**environment, **self._settings},
            self.log,
        )

    def wait(self) -> int:
        """Wait for it to end, and return its status."""
        assert self._process is not None
        return self._process.wait()

    def workers(self) -> list[int]:
        assert self._process is not None
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            check=False,
            text=True,
        )
        return [int(pid) for pid in listed.stdout.split()]

    def kill(self) -> None:
        """Kill all of it at once, as a power cut would."""
        assert self._process is not None
        # The master first, so that it starts no new workers.
        workers = self.workers()
        self._process.send_signal(signal.SIGKILL)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        self._process.wait()
        # A worker that is about to die may still take a connection, and pass for the next server.
        with suppress(ConnectionError):
            while True:
                socket.create_connection(("127.0.0.1", self.port)).close()
                time.sleep(0.01)

    def terminate(self) -> None:
        """Tell it to stop, as a deployment does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send its master a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait()
            except subprocess.TimeoutExpired:
                self.kill()

    @contextmanager
    def api(self) -> Iterator[Api]:
        limits = httpx2.Limits(max_connections=100)
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, limits=limits
        ) as client:
            yield over_http(client)
