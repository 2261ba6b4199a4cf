"""The jobs that erase: the sweep for those whose time is over, and wiping what was interrupted.

What they need is loaded with the first of them, as most services erase nobody by themselves.
"""

from collections.abc import Callable

from background.jobs import Job, Jobs
from background.worker import Retry
from db import Database, Erasures, Session
from positions.retention import JOB_KIND, SWEEP

# Seconds from one sweep to the next, and from one series of attempts to wipe to the next.
SWEEP_EVERY = 3600.0
WIPE_AGAIN_AFTER = 600.0


class ErasureHandler:
    """Does the jobs of this kind."""

    kind = JOB_KIND

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, job: Job, is_held: Callable[[], bool]) -> None:
        """Do the job, and end it; the sweep begins again later.

        Raises:
            Retry: The files could not be wiped.

        """
        if job.subject == SWEEP:
            self._sweep(job, is_held)
        else:
            self._wipe(job)

    def give_up(self, session: Session, job: Job, reason: str) -> None:  # noqa: ARG002
        """Let the job begin again: whatever is in the way passes."""
        pause = SWEEP_EVERY if job.subject == SWEEP else WIPE_AGAIN_AFTER
        Jobs(session).add(self.kind, job.subject, pause)

    def _sweep(self, job: Job, is_held: Callable[[], bool]) -> None:
        from positions.retention import Retentions
        from records.retention import sweep

        sweep(self._database, is_held)
        with self._database.transaction() as session:
            Jobs(session).end(job)
            if Retentions(session).all():
                Jobs(session).add(self.kind, SWEEP, SWEEP_EVERY)

    def _wipe(self, job: Job) -> None:
        from records.erasing import BACKGROUND_AFTER, WIPING, has_wiped

        with self._database.reading() as session:
            is_needed = Erasures(session).last_unwiped() > 0
        if is_needed and not has_wiped(self._database):
            raise Retry("The files could not be wiped, as others used them all the time.")
        with self._database.transaction() as session:
            Jobs(session).end(job)
            if Erasures(session).last_unwiped():  # somebody was erased since, and found this job
                Jobs(session).add(self.kind, WIPING, BACKGROUND_AFTER)
