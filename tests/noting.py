"""Background work for tests: a handler that notes what it does, and processes that have it.

A job's subject says how it goes: `slow` waits for the file `go`, `fatal` kills its process, `bad`
fails each time.

Run by itself it is `python -m commands worker` with this handler; gunicorn has it by `CONFIGURED`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from background.jobs import Job, Jobs
from background.worker import Retry, Worker
from db import Database, Session
from server import APP_FOLDER

KIND = "note"

# gunicorn.conf.py, for an app that has the handler.
CONFIGURED = f"""
import sys
from pathlib import Path

__file__ = {str(APP_FOLDER / "gunicorn.conf.py")!r}
exec(Path(__file__).read_text())
sys.path.append({str(APP_FOLDER / "tests")!r})
begin = post_worker_init


def post_worker_init(worker):
    import noting

    noting.give_handler(worker.app.wsgi())
    begin(worker)
"""


class Noting:
    """Notes in the file `begun` which process has begun what, and in a table what it has ended."""

    kind = KIND

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def run(self, job: Job, is_held: Callable[[], bool]) -> None:
        with (self._folder / "begun").open("a") as file:
            file.write(f"{job.subject} {os.getpid()}\n")
        if job.subject.startswith("fatal"):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.subject.startswith("bad"):
            raise Retry("It is bad.", after=0)
        while job.subject.startswith("slow") and not (self._folder / "go").exists():
            time.sleep(0.01)
        with self._database.transaction() as session:
            note(session, job.subject, os.getpid(), "done")
            Jobs(session).end(job)

    def give_up(self, session: Session, job: Job, reason: str) -> None:
        note(session, job.subject, os.getpid(), reason)


def note(session: Session, subject: str, process: int, outcome: str) -> None:
    session.execute(
        "INSERT INTO notes (subject, process, outcome) VALUES (:subject, :process, :outcome)",
        {"subject": subject, "process": process, "outcome": outcome},
    )


def make_notes(database: Database) -> None:
    with database.transaction() as session:
        session.execute("CREATE TABLE notes (subject TEXT, process INTEGER, outcome TEXT)", {})


def notes(database: Database) -> list[tuple[Any, ...]]:
    with database.reading() as session:
        rows = session.execute("SELECT subject, process, outcome FROM notes ORDER BY subject", {})
        return rows.fetchall()


def give_handler(app: Any) -> None:
    """Replace the app's worker by one with the handler of the tests."""
    from web.service import service

    parts = service(app)
    worker = Worker(
        parts.database,
        [Noting(parts.database, Path(os.environ["NOTES"]))],
        lease=float(os.environ["LEASE"]),
        poll=0.05,
        tries=int(os.environ["TRIES"]),
    )
    object.__setattr__(parts, "worker", worker)


if __name__ == "__main__":
    from app import app
    from commands.worker import worker

    give_handler(app)
    worker()
