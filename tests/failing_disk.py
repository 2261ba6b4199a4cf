"""Threads that write while the disk fails now and then: a program of its own, as its files fail.

Prints JSON: what the threads were told is `stored`, and what is `lost`.
"""

import json
import logging
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from config import Config
from db import InterviewKey, Messages, open_database
from storage.errors import DatabaseUnavailable
from storage.sqlite.database import path_of

THREADS = 10


def main(url: str) -> None:
    """Write, each text once."""
    logging.disable()
    # Else a file that cannot grow kills the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    database = open_database(Config(openai_api_key="k", database_url=url))
    key = InterviewKey("job-1", "Ana", "ana@example.com")
    told: dict[str, list[str]] = {"stored": [], "lost": []}

    def write(number: int) -> None:
        for text in texts(number):
            try:
                with database.transaction() as session:
                    Messages(session).add(key, "user", text)
            except DatabaseUnavailable:
                told["lost"].append(text)
            else:
                told["stored"].append(text)

    with ThreadPoolExecutor(THREADS) as pool:
        writers = [pool.submit(write, number) for number in range(THREADS)]
        fail_now_and_then(path_of(url).parent, writers)
    for writer in writers:
        writer.result()
    database.close()
    print(json.dumps(told))


def texts(number: int) -> Iterator[str]:
    """Return small and large ones, the large ones of more than SQLite keeps in memory."""
    chance = random.Random(number)
    for each in range(60):
        yield f"{number}-{each}-" + "x" * chance.choice([0, 500, 60_000, 300_000])


def fail_now_and_then(folder: Path, writers: list[Future[None]]) -> None:
    """Let no file grow by much, and then let them, until all is written."""
    while not all(writer.done() for writer in writers):
        largest = max(file.stat().st_size for file in folder.iterdir())
        for limit in (largest + 5000, resource.RLIM_INFINITY):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
