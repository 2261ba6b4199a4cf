"""The worker of a process: threads that claim jobs, have them done, and hold them meanwhile.

A job is done at least once, and ended once: what a handler does to the outside may happen again
after a crash, but only one of those that did it can store that it is done.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Protocol

from background.chores import Chore, Chores
from background.jobs import Job, Jobs, LeaseLost
from db import Database, Session
from errors import ApiError
from monitoring import metrics

log = logging.getLogger(__name__)

# Seconds for which a job is claimed; it is renewed three times as often. A job whose process was
# killed is taken up by another one after that time and a poll at the latest.
LEASE = 15.0

# Seconds between two looks for work that another process has added.
POLL = 2.0

# Claims of a job, after which it is given up.
TRIES = 5

# The longest pause between two tries, in seconds.
LONGEST_PAUSE = 60.0

# Seconds that a process which ends spends on putting back what is under way.
PATIENCE = 2.0


class Retry(Exception):
    """The job could not be done this time, and is put off.

    Args:
        reason: Why, without personal data: it is logged, and stored once the job is given up.
        after: Seconds until the next try; if None, they grow with each try.

    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Handler(Protocol):
    """A worker's way to do the jobs of one kind."""

    kind: str

    def run(self, job: Job, is_held: Callable[[], bool]) -> None:
        """Do the job, and end it by `Jobs.end()` in the transaction that stores its result.

        Args:
            job: The job.
            is_held: Returns False once another process may have claimed the job, or this one is
                about to stop. Nothing more should then be done for it.

        Raises:
            LeaseLost: The job is no longer held.
            Retry: The job is to be put off. After any other error it is put off as well.

        """

    def give_up(self, session: Session, job: Job, reason: str) -> None:
        """Store that the job will not be done, in the transaction that ends it."""


@dataclass(eq=False)
class _Held:
    """A job under way in this process."""

    job: Job
    until: float
    """When the lease may have run out, in seconds of `time.monotonic()`. A process that has stood
    still sees by it that the job may be another's by now."""

    def is_held(self) -> bool:
        return time.monotonic() < self.until


class Worker:
    """The background work of one process, in a thread for each handler and for each chore.

    No kind of work waits for another. A handler that is listed twice has two threads.
    """

    def __init__(
        self,
        database: Database,
        handlers: Sequence[Handler],
        chores: Sequence[Chore] = (),
        *,
        lease: float = LEASE,
        poll: float = POLL,
        tries: int = TRIES,
    ) -> None:
        self._database = database
        self._lease = lease
        self._poll = poll
        self._tries = tries
        self._served = [(handler, Event()) for handler in handlers]
        self._chores = Chores(chores)
        self._threads: list[Thread] = []
        self._stopping = Event()
        self._held: set[_Held] = set()
        # Locked from the look at `_stopping` until a claimed job is in `_held`, so that none is
        # claimed once what is in `_held` has been put back.
        self._claiming = Lock()

    def start(self) -> None:
        """Begin to work. Threads do not outlive a fork, so a server forks before."""
        self._chores.start()
        if not self._served:
            return
        self._threads = [
            Thread(target=self._serve, args=(handler, awake), name=f"job-{handler.kind}")
            for handler, awake in self._served
        ]
        self._threads.append(Thread(target=self._keep_leases, name="job-leases"))
        for thread in self._threads:
            thread.daemon = True  # a job under way must not keep the process from ending
            thread.start()

    def stop(self) -> None:
        """Claim nothing more, and have a thread put back what is under way.

        It returns at once, and may be called by a signal's handler.
        """
        self._stopping.set()
        self._chores.stop()
        for _, awake in self._served:
            awake.set()

    def join(self, seconds: float = PATIENCE) -> None:
        """Wait, no longer than so many seconds, until the threads have ended after `stop()`."""
        give_up = time.monotonic() + seconds
        for thread in (*self._threads, *self._chores.threads):
            thread.join(max(0.0, give_up - time.monotonic()))

    def wake(self, kind: str) -> None:
        """Look for work of the kind now, as this process has added and committed some."""
        for handler, awake in self._served:
            if handler.kind == kind:
                awake.set()

    def _serve(self, handler: Handler, awake: Event) -> None:
        """Do one job after the other, and rest while there is none."""
        failures = 0
        while not self._stopping.is_set():
            pause = self._poll
            try:
                held = self._claim(handler.kind)
                failures = 0
                if held is not None:
                    self._do(handler, held)
                    continue
            except Exception as error:
                failures += 1
                pause = pause_after(failures)
                if failures == 1:
                    _log_failure(error, "Jobs of kind %s wait: %s", handler.kind)
            awake.wait(pause)
            awake.clear()

    def _claim(self, kind: str) -> _Held | None:
        """Claim a job, if one is due. Only then is anything written, or anybody kept waiting."""
        with self._database.reading() as session:
            if not Jobs(session).is_due(kind):
                return None
        with self._claiming:
            if self._stopping.is_set():
                return None
            until = time.monotonic() + self._lease
            with self._database.transaction() as session:
                job = Jobs(session).claim(kind, secrets.token_hex(8), self._lease)
            if job is None:  # another was faster
                return None
            held = _Held(job, until)
            self._held.add(held)
            return held

    def _do(self, handler: Handler, held: _Held) -> None:
        """Have a job done, or see to it that it is done later or given up."""
        try:
            self._run(handler, held)
            metrics.count_job(handler.kind, "done")
        except LeaseLost:
            _log_loss(held.job)
        except Exception as error:
            self._put_off(handler, held.job, error)
        finally:
            self._held.discard(held)

    def _run(self, handler: Handler, held: _Held) -> None:
        if held.job.attempts > self._tries:
            # Not even put off: it may be the job itself that kills its process.
            raise Retry("Each process that began it ended before it was done.")
        handler.run(held.job, held.is_held)

    def _put_off(self, handler: Handler, job: Job, error: Exception) -> None:
        """Put a failed job off, or give it up."""
        is_last = job.attempts >= self._tries
        _log_failure(
            error,
            "Job %s %s failed at its last try: %s" if is_last else "Job %s %s failed: %s",
            *(job.kind, job.subject),
        )
        try:
            with self._database.transaction() as session:
                if is_last:
                    Jobs(session).end(job)
                    handler.give_up(session, job, reason_of(error))
                else:
                    after = error.after if isinstance(error, Retry) else None
                    pause = pause_after(job.attempts) if after is None else after
                    Jobs(session).put_off(job, pause)
        except LeaseLost:
            _log_loss(job)
        except Exception as failure:  # its lease runs out
            _log_failure(failure, "Job %s %s was not put off: %s", job.kind, job.subject)
        else:
            metrics.count_job(job.kind, "failed" if is_last else "retried")

    def _keep_leases(self) -> None:
        """Renew the leases of what is under way, and put it back in the end."""
        while not self._stopping.wait(self._lease / 3):
            for held in list(self._held):
                self._renew(held)
        with self._claiming:
            under_way = list(self._held)
        for held in under_way:
            held.until = 0.0  # at once for all: the database may take its time
        for held in under_way:
            self._put_back(held.job)

    def _put_back(self, job: Job) -> None:
        try:
            with self._database.transaction() as session:
                Jobs(session).put_back(job)
        except Exception as error:  # its lease runs out
            _log_failure(error, "Job %s %s was not put back: %s", job.kind, job.subject)

    def _renew(self, held: _Held) -> None:
        until = time.monotonic() + self._lease
        try:
            with self._database.transaction() as session:
                is_held = Jobs(session).renew(held.job, self._lease)
        except Exception as error:  # there may be time for another try
            _log_failure(error, "Job %s %s was not renewed: %s", held.job.kind, held.job.subject)
        else:
            held.until = until if is_held else 0.0


def pause_after(failures: int) -> float:
    """Return the seconds until the next try: 1, 2, 4, ..., less up to a half of it by chance."""
    longest = min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1)  # noqa: S311  # no secret hangs on it


def reason_of(error: Exception) -> str:
    """Return a sentence without personal data."""
    is_known = isinstance(error, Retry | ApiError)
    return str(error) if is_known else f"An unexpected error ({type(error).__name__})."


def _log_failure(error: Exception, message: str, *values: object) -> None:
    """Log what has failed and why, with a traceback if that was unexpected."""
    is_known = isinstance(error, Retry | ApiError)
    level, cause = (logging.WARNING, None) if is_known else (logging.ERROR, error)
    log.log(level, message, *values, reason_of(error), exc_info=cause)


def _log_loss(job: Job) -> None:
    log.warning("Job %s %s is not held here any more", job.kind, job.subject)
