"""A process that makes scorecards, and kills itself in the middle of it.

    python tests/dying.py STEP before|after

It dies in its transaction of that number: before the commit, or right after it. Settings come from
the environment.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from background.worker import Worker
from config import load
from db import Database, InterviewKey, Session, open_database
from llm import LLM
from scorecards.handler import ScorecardHandler


class Dying(Database):
    """A database whose process does not survive one of its transactions."""

    def __init__(self, database: Database, step: int, moment: str) -> None:
        self._database = database
        self._left = step
        self._moment = moment

    def reading(self) -> AbstractContextManager[Session]:
        return self._database.reading()

    def snapshot(self) -> AbstractContextManager[Session]:
        return self._database.snapshot()

    @contextmanager
    def transaction(self, interview: InterviewKey | None = None) -> Iterator[Session]:
        self._left -= 1
        is_last = self._left == 0
        with self._database.transaction(interview) as session:
            yield session
            if is_last and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)

    def check_writable(self) -> None:
        self._database.check_writable()

    @property
    def must_be_wiped(self) -> bool:
        return self._database.must_be_wiped

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        self._database.wipe(patience, thoroughly=thoroughly)

    def close(self) -> None:
        self._database.close()


def main() -> None:
    config = load()
    database = Dying(open_database(config), int(sys.argv[1]), sys.argv[2])
    handler = ScorecardHandler(database, LLM(config), config)
    Worker(database, [handler], lease=1.0, poll=0.05, tries=1000).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
