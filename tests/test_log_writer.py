"""The log of a service whose reader stalls."""

import fcntl
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import httpx2
import pytest

from config import Config
from monitoring.log_writer import LogWriter
from server import APP_FOLDER, PATIENCE, free_port, wait_until_it_answers

# Bytes of the smallest pipe: a dozen lines of the log.
SMALL = 4096


class Reader:
    """A reader of a pipe that reads only when it is told to."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        if sys.platform == "linux":
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, SMALL)
        self._text = b""
        self._reads_on = Event()
        self._thread = Thread(target=self._read)
        self._thread.start()

    def read_on(self) -> None:
        self._reads_on.set()

    def lines(self) -> list[str]:
        """Return all lines, once every process has closed the pipe."""
        self.read_on()
        self._thread.join()
        return self._text.decode().splitlines()

    def _read(self) -> None:
        self._reads_on.wait()
        while piece := os.read(self._reading, 65_536):
            self._text += piece
        os.close(self._reading)


@contextmanager
def served(config: Config, stdout: int, stderr: int, log: Path) -> Iterator[int]:
    """Yield the port of a server with these streams."""
    port = free_port()
    settings = {
        "PATH": os.environ["PATH"],
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": config.openai_base_url or "",
        "DATABASE_URL": config.database_url,
        "WEB_CONCURRENCY": "1",
        "WORKER_THREADS": "4",
        "RATE_LIMITS": "off",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "app:app", "--bind", f"127.0.0.1:{port}"],
        cwd=APP_FOLDER,
        env=settings,
        stdout=stdout,
        stderr=stderr,
    )
    try:
        wait_until_it_answers(port, log)
        yield port
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_requests_go_on_while_the_reader_of_stdout_stalls_and_no_line_is_lost(
    config: Config, tmp_path: Path
) -> None:
    reader, errors = Reader(), tmp_path / "errors"
    with errors.open("wb") as stderr:
        with served(config, reader.writing, stderr.fileno(), errors) as port:
            os.close(reader.writing)
            with httpx2.Client(timeout=10) as client:
                for number in range(100):
                    answer = client.get(
                        f"http://127.0.0.1:{port}/healthz", headers={"X-Request-ID": f"n{number}"}
                    )
                    assert answer.status_code == 200
            reader.read_on()
        lines = [json.loads(line) for line in reader.lines()]
    ids = [line["request_id"] for line in lines if line["request_id"].startswith("n")]
    assert ids == [f"n{number}" for number in range(100)]


def test_requests_go_on_while_the_reader_of_stderr_stalls(config: Config, tmp_path: Path) -> None:
    reader, output = Reader(), tmp_path / "output"
    with output.open("wb") as stdout:
        with served(config, stdout.fileno(), reader.writing, output) as port:
            os.close(reader.writing)
            for _ in range(100):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                    client.sendall(b"GET / HTTP/9.9\r\n\r\n")  # a warning of gunicorn's
                    assert client.recv(100).startswith(b"HTTP/1.1 400")
            answer = httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
            assert answer.status_code == 200
            reader.read_on()
        assert sum("Invalid request" in line for line in reader.lines()) == 100


def test_a_service_whose_log_nobody_reads_can_be_stopped(config: Config, tmp_path: Path) -> None:
    reader, errors = Reader(), tmp_path / "errors"
    with errors.open("wb") as stderr:
        with served(config, reader.writing, stderr.fileno(), errors) as port:
            for _ in range(50):
                httpx2.get(f"http://127.0.0.1:{port}/healthz")
        os.close(reader.writing)
        reader.lines()
    assert "Fatal Python error" not in errors.read_text()


def test_lines_that_are_too_many_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader()
    writer = LogWriter(reader.writing, max_lines=10)
    line = "x" * 999 + "\n"
    for _ in range(100):
        writer.write(line)
    with caplog.at_level(logging.WARNING):
        reader.read_on()
        writer.close()
    os.close(reader.writing)
    kept = len(reader.lines())
    assert 10 <= kept < 100
    assert f"{100 - kept} lines of the log were dropped" in caplog.text


def test_a_reader_that_has_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.write("a line\n")
    writer.close()
    os.close(writing)
    assert not caplog.records
