"""A server that is measured: how it is started and stopped, what it takes of processor and memory.

Linux only: processor time and memory come from /proc.
"""

import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")

# Seconds for a server's other processes to start, once the first has answered.
SETTLING = 2.0


def free_port() -> int:
    """Return a port that nobody listens on."""
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
        try:
            self._wait_until_it_answers(give_up=time.monotonic() + 60)
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_answers(self, give_up: float) -> None:
        while time.monotonic() < give_up and self._process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except OSError:
                time.sleep(0.1)
            else:
                time.sleep(SETTLING)
                return
            finally:
                connection.close()
        raise RuntimeError(f"{self._process.args!r} does not answer")

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def stop(self) -> None:
        """Kill all of its processes."""
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
