"""Chores: work that comes back every few seconds in each process, and that no job asks for.

Each process does it. A chore looks whether there is anything to do before it writes, and minds that
another process may be doing the same.
"""

import logging
from collections.abc import Sequence
from threading import Event, Thread
from typing import Protocol

from errors import ApiError

log = logging.getLogger(__name__)


class Chore(Protocol):
    """What is done again and again."""

    name: str
    """What the log calls it."""

    pause: float
    """Seconds from the end of one time to the beginning of the next."""

    def run(self) -> None:
        """Do what there is to do."""


class Chores:
    """The chores of one process, in a thread each."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores
        self._stopping = Event()
        self.threads: list[Thread] = []

    def start(self) -> None:
        """Begin. Threads do not outlive a fork, so a server forks before."""
        self.threads = [
            Thread(target=self._repeat, args=(chore,), name=f"chore-{chore.name}", daemon=True)
            for chore in self._chores
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Begin no chore any more; one that is under way ends by itself."""
        self._stopping.set()

    def _repeat(self, chore: Chore) -> None:
        has_failed = False
        while not self._stopping.is_set():
            try:
                chore.run()
                has_failed = False
            except Exception as error:
                if not has_failed:  # once, until it goes well again
                    is_known = isinstance(error, ApiError)
                    reason = error if is_known else type(error).__name__
                    cause = None if is_known else error
                    log.error("Chore %s waits: %s", chore.name, reason, exc_info=cause)  # noqa: TRY400
                has_failed = True
            self._stopping.wait(chore.pause)
