"""Jobs: the work that is to be done in the background, each a row until it has ended.

Whoever claims a job has it by a lease: the row then names the lease and becomes due again when it
runs out. A lease is renewed while the job is under way, so that only a job whose process has died,
or has stood still for as long, is claimed by another. All times are by the database's clock.
"""

from typing import NamedTuple

from db import Session


class Job(NamedTuple):
    """A job that was claimed."""

    id: int
    kind: str
    subject: str
    attempts: int
    """The number of times it was claimed, this one included."""
    lease: str
    """The name of this claim's lease, by which later statements change only a job that is held."""


class LeaseLost(Exception):
    """The job is no longer held: another process has claimed it, or it was put back or ended."""


class Jobs:
    """The queries of jobs."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._now = session.now
        self._skip_locked = session.skip_locked

    def add(self, kind: str, subject: str, delay: float = 0.0) -> None:
        """Store that something is to be done, in the transaction that is the reason for it.

        Args:
            kind: The kind of work, which says whose handler does it.
            subject: The id of what is worked on, without personal data, as it is logged. Of one
                kind and subject there is one job: adding it again changes nothing.
            delay: Seconds before it may be claimed.

        """
        self._execute(
            "INSERT INTO jobs (kind, subject, due_at)"
            f" VALUES (:kind, :subject, {self._now} + :delay)"
            " ON CONFLICT (kind, subject) DO NOTHING",
            {"kind": kind, "subject": subject, "delay": delay},
        )

    def is_due(self, kind: str) -> bool:
        """Return whether a job of the kind may be claimed."""
        row = self._execute(f"SELECT 1 {self._due} LIMIT 1", {"kind": kind}).fetchone()
        return row is not None

    def claim(self, kind: str, lease: str, seconds: float) -> Job | None:
        """Claim the job of the kind that has been due for longest, for so many seconds."""
        row = self._execute(
            f"UPDATE jobs SET lease = :lease, due_at = {self._now} + :seconds,"
            " attempts = attempts + 1 WHERE id ="
            f" (SELECT id {self._due} ORDER BY due_at, id LIMIT 1 {self._skip_locked})"
            " RETURNING id, kind, subject, attempts, lease",
            {"kind": kind, "lease": lease, "seconds": seconds},
        ).fetchone()
        return Job._make(row) if row else None

    def renew(self, job: Job, seconds: float) -> bool:
        """Hold the job for so many seconds from now on, and return whether it was still held."""
        return self._change(job, f"UPDATE jobs SET due_at = {self._now} + :seconds", seconds)

    def put_off(self, job: Job, seconds: float) -> None:
        """Let the job be claimed again in so many seconds.

        Raises:
            LeaseLost: It is no longer held.

        """
        change = f"UPDATE jobs SET lease = NULL, due_at = {self._now} + :seconds"
        if not self._change(job, change, seconds):
            raise LeaseLost

    def put_back(self, job: Job) -> None:
        """Let the job be claimed again at once, as if it had not been; one not held stays as is."""
        change = f"UPDATE jobs SET lease = NULL, due_at = {self._now}, attempts = attempts - 1"
        self._change(job, change)

    def end(self, job: Job) -> None:
        """Remove the job, in the transaction that stores its result.

        Raises:
            LeaseLost: It is no longer held, and the transaction must store nothing.

        """
        if not self._change(job, "DELETE FROM jobs"):
            raise LeaseLost

    @property
    def _due(self) -> str:
        # The time as a subquery: PostgreSQL looks up a value in an index, but not an expression
        # that may differ from row to row.
        return f"FROM jobs WHERE kind = :kind AND due_at <= (SELECT {self._now})"

    def _change(self, job: Job, change: str, seconds: float = 0.0) -> bool:
        """Change the job if it is held, and return whether it is."""
        row = self._execute(
            f"{change} WHERE id = :id AND lease = :lease RETURNING id",
            {"id": job.id, "lease": job.lease, "seconds": seconds},
        ).fetchone()
        return row is not None
