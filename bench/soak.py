"""Load that goes on for long, and the memory that the service takes meanwhile: `make soak`.

Applicants at once, in rounds with new interviews, so that no transcript grows long; every other
round streams. Prints a line after each round: what the service has answered, the megabytes of
each worker (PSS), and how many files of the database each has open. In the end it prints how fast
memory grew in the second half; a service that keeps nothing has a flat line. Linux only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

# The project's folder in the place of this one, whose modules are called like some of its packages.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.harness import ENDLESS, load
from bench.servers import PROJECT, Server, free_port

# Applicants of each connection take turns, so that a round's interviews stay short.
APPLICANTS_EACH = 5


class Sample(NamedTuple):
    """The service at one moment."""

    hours: float
    replies: int
    megabytes: list[float]
    """Of each worker, PSS."""
    open_files: list[int]
    """Of each worker: the database, its log and its index."""

    def __str__(self) -> str:
        megabytes = "  ".join(f"{each:6.1f}" for each in self.megabytes)
        files = "  ".join(f"{each:4d}" for each in self.open_files)
        return f"{self.hours * 60:6.1f} min  {self.replies:9d} replies  {megabytes} MB  {files}"


def workers(master: int) -> list[int]:
    """Return the ids of the processes that serve."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return sorted(map(int, children.split()))


def megabytes(pid: int) -> float:
    """Return the process's memory, what it shares counted by the part (PSS)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("\nPss:")[1].split()[0]) / 1024


def open_files(pid: int, database: Path) -> int:
    """Return how many files the process has open of the database."""
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found += str(link.readlink()).startswith(str(database))
    return found


def soak(folder: Path, stack: ExitStack, options: argparse.Namespace) -> list[Sample]:
    """Put load on a service as it is deployed, and return a sample of each round."""
    upstream = free_port()
    command = [sys.executable, "-m", "openai_api.rehearsal", "--port", str(upstream)]
    stack.callback(Server([*command, "--delay", str(options.delay)], upstream).stop)
    port, database = free_port(), folder / "soak.db"
    service = Server(
        [sys.executable, "-m", "gunicorn", "app:app"],
        port,
        PORT=str(port),
        WEB_CONCURRENCY=str(options.workers),
        OPENAI_BASE_URL=f"http://127.0.0.1:{upstream}/v1",
        DATABASE_URL=f"sqlite:///{database}",
        CLOSING_PHRASE=ENDLESS,
        LIMIT_REPLIES="1000000/second",
        LIMIT_STARTS="1000000/second",
    )
    stack.callback(service.stop)
    began, replies, samples = time.monotonic(), 0, []
    for number in count():
        hours = (time.monotonic() - began) / 3600
        pids = workers(service.pid)
        samples.append(
            Sample(
                *(hours, replies),
                [megabytes(pid) for pid in pids],
                [open_files(pid, database) for pid in pids],
            )
        )
        print(samples[-1], flush=True)
        if hours * 60 >= options.minutes:
            return samples
        label = f"round {number}"
        load(service, label, options.connections, each=APPLICANTS_EACH, start=True)
        answered = load(
            *(service, label, options.connections),
            each=APPLICANTS_EACH,
            seconds=options.round,
            stream=number % 2 == 1,
        )
        replies += answered["replies"]
        if answered["errors"]:
            print(f"{answered['errors']} errors", flush=True)
    raise AssertionError


def growth(samples: list[Sample]) -> float:
    """Return by how many megabytes an hour all workers together grew, after the first half."""
    later = samples[len(samples) // 2 :]
    if len(later) < 2:
        return 0.0
    hours = [sample.hours for sample in later]
    slope, _ = statistics.linear_regression(hours, [sum(sample.megabytes) for sample in later])
    return slope


def main() -> None:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description="Load for long, and print the memory it takes.")
    parser.add_argument("--minutes", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=200, help="applicants at once")
    parser.add_argument("--round", type=float, default=20, help="seconds between two lines")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that the model thinks")
    parser.add_argument("--workers", type=int, default=2, help="processes of the service")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=PROJECT, prefix=".bench-") as name, ExitStack() as stack:
        folder = Path(name)
        samples = soak(folder, stack, options)
    first, last = samples[0], samples[-1]
    print(
        f"{last.replies} replies: from {sum(first.megabytes):.1f} to {sum(last.megabytes):.1f} MB;"
        f" {growth(samples):+.1f} MB an hour in the second half"
    )


if __name__ == "__main__":
    main()
