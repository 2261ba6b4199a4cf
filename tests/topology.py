"""compose.yaml without containers: two instances and nginx, as plain processes.

Run by itself it serves until it is stopped, with a rehearsal interviewer, on the PostgreSQL and the
Redis of TEST_DATABASE_URL and TEST_REDIS_URL:

    python tests/topology.py
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from openai_api.rehearsal import Rehearsal
from server import APP_FOLDER, Gunicorn, free_port, wait_until_it_answers


class Nginx:
    """nginx with the configuration of compose.yaml, in front of plain processes."""

    def __init__(self, folder: Path, ports: tuple[int, ...]) -> None:
        self.port = free_port()
        self.log = folder / "nginx.log"
        text = (APP_FOLDER / "nginx.conf").read_text()
        changes = {"listen 8080;": f"listen 127.0.0.1:{self.port};", "/dev/stderr": str(self.log)}
        for number, port in enumerate(ports, 1):
            changes[f"app-{number}:8000"] = f"127.0.0.1:{port}"
        # What it would write to folders of the system.
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        changes["http {\n"] = f"http {{\n{paths}"
        for old, new in changes.items():
            assert text.count(old) == 1
            text = text.replace(old, new)
        self._configuration = folder / "nginx.conf"
        self._configuration.write_text(text)
        self._pid_file = folder / "nginx.pid"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it passes requests on."""
        self._process = subprocess.Popen(
            [
                *("nginx", "-c", str(self._configuration), "-e", str(self.log)),
                *("-g", f"daemon off; pid {self._pid_file};"),
            ]
        )
        wait_until_it_answers(self.port, self.log)

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class Topology:
    """Two instances of the service behind nginx, with one database."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.instances = [
            Gunicorn(folder / f"app-{number}.log", {"TRUSTED_PROXIES": "1", **settings})
            for number in (1, 2)
        ]
        self.nginx = Nginx(folder, tuple(instance.port for instance in self.instances))
        self.url = f"http://127.0.0.1:{self.nginx.port}"

    def start(self) -> "Topology":
        """Start the instances at once, as they would be, and nginx when they answer."""
        for instance in self.instances:
            instance.spawn()
        for instance in self.instances:
            instance.answering()
        self.nginx.start()
        return self

    def stop(self) -> None:
        """Stop everything."""
        self.nginx.stop()
        for instance in self.instances:
            instance.stop()


@contextmanager
def running(folder: Path, settings: dict[str, str]) -> Iterator[Topology]:
    """Start all of it, and stop it when the block ends."""
    topology = Topology(folder, settings)
    try:
        yield topology.start()
    finally:
        topology.stop()


def main() -> None:
    """Serve until stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    rehearsal = Rehearsal().start()
    settings = {
        "OPENAI_API_KEY": "rehearsal",
        "OPENAI_BASE_URL": rehearsal.url,
        "DATABASE_URL": os.environ["TEST_DATABASE_URL"],
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), settings) as topology:
        print(f"Two instances behind {topology.url}; Ctrl-C stops them.", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
    rehearsal.stop()


if __name__ == "__main__":
    main()
