"""Background work: retries, leases, and processes that die, stand still or are told to stop."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from threading import enumerate as living_threads
from typing import Any

import httpx2
import pytest

from api import ANA, PROMPT
from app import create_app
from background.jobs import Job, Jobs, LeaseLost
from background.worker import Handler, Retry, Worker, pause_after
from config import Config
from db import Database, InterviewKey, Session, open_database
from noting import CONFIGURED, KIND, make_notes, note, notes
from openai_api.rehearsal import Behaviour, Rehearsal
from postgresql import PostgresServer
from server import APP_FOLDER, PATIENCE, Gunicorn
from waiting import wait_until
from web.service import service

KILLS = 8

MakeWorker = Callable[..., Worker]


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    make_notes(database)
    yield database
    database.close()


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        worker.join(PATIENCE)


@pytest.fixture
def make_worker(database: Database) -> Iterator[MakeWorker]:
    """Start a worker that looks for work all the time, unless told otherwise."""
    with ExitStack() as workers:

        def make(*handlers: Handler, **settings: Any) -> Worker:
            worker = Worker(database, handlers, **{"poll": 0.01, **settings})
            workers.enter_context(running(worker))
            return worker

        yield make


class Doing:
    """A handler that calls a function, and ends the job unless that raises."""

    def __init__(
        self,
        database: Database,
        do: Callable[[Job, Callable[[], bool]], None] = lambda _job, _is_held: None,
        kind: str = KIND,
    ) -> None:
        self.kind = kind
        self.tries: list[int] = []
        self._database = database
        self._do = do

    def run(self, job: Job, is_held: Callable[[], bool]) -> None:
        self.tries.append(job.attempts)
        self._do(job, is_held)
        with self._database.transaction() as session:
            note(session, job.subject, 0, "done")
            Jobs(session).end(job)

    def give_up(self, session: Session, job: Job, reason: str) -> None:
        note(session, job.subject, 0, reason)


def add(database: Database, *subjects: str, kind: str = KIND) -> None:
    with database.transaction() as session:
        for subject in subjects:
            Jobs(session).add(kind, subject)


def left(database: Database) -> list[tuple[Any, ...]]:
    """The subject and the tries of each job that has not ended."""
    with database.reading() as session:
        return session.execute("SELECT subject, attempts FROM jobs ORDER BY id", {}).fetchall()


def outcomes(database: Database) -> list[tuple[str, str]]:
    return [(subject, outcome) for subject, _, outcome in notes(database)]


def job_threads() -> list[str]:
    return [thread.name for thread in living_threads() if thread.name.startswith("job-")]


# One worker.


@pytest.mark.both_databases
def test_a_job_is_done_and_ended(database: Database, make_worker: MakeWorker) -> None:
    add(database, "1", "2")
    make_worker(Doing(database))
    wait_until(lambda: left(database) == [])
    assert outcomes(database) == [("1", "done"), ("2", "done")]


def test_a_worker_that_is_woken_does_not_wait_for_its_next_look(
    database: Database, make_worker: MakeWorker
) -> None:
    worker = make_worker(Doing(database), poll=3600.0)
    for subject in ("1", "2"):
        add(database, subject)
        worker.wake("another kind")
        worker.wake(KIND)
        wait_until(lambda: left(database) == [])


@pytest.mark.both_databases
def test_a_job_that_fails_is_tried_again_until_it_is_done(
    database: Database, make_worker: MakeWorker
) -> None:
    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        if job.attempts < 4:
            raise Retry("The model is busy.", after=0)

    handler = Doing(database, do)
    make_worker(handler)
    add(database, "1")
    wait_until(lambda: left(database) == [])
    assert handler.tries == [1, 2, 3, 4]
    assert outcomes(database) == [("1", "done")]


@pytest.mark.both_databases
def test_a_job_that_fails_each_time_is_given_up_with_the_last_reason(
    database: Database, make_worker: MakeWorker
) -> None:
    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        raise Retry(f"Try {job.attempts} was bad.", after=0)

    handler = Doing(database, do)
    make_worker(handler)
    add(database, "1")
    wait_until(lambda: left(database) == [])
    assert handler.tries == [1, 2, 3, 4, 5]
    assert outcomes(database) == [("1", "Try 5 was bad.")]


def test_the_reason_of_an_unexpected_error_quotes_nothing_of_it(
    database: Database, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        raise KeyError("Ana")

    make_worker(Doing(database, do), tries=1)
    add(database, "1")
    wait_until(lambda: left(database) == [])
    assert outcomes(database) == [("1", "An unexpected error (KeyError).")]
    record = wait_until(
        lambda: [one for one in caplog.records if "failed at its last try" in one.message]
    )[0]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None  # a mistake of ours needs its traceback
    assert "Ana" not in record.getMessage()


def test_a_job_that_cannot_be_given_up_is_left_with_all_it_has(
    database: Database, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    class Careless(Doing):
        def give_up(self, session: Session, job: Job, reason: str) -> None:
            super().give_up(session, job, reason)
            raise ZeroDivisionError

    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        raise Retry("Never.")

    make_worker(Careless(database, do), tries=1, lease=60.0)
    add(database, "1")
    wait_until(lambda: "was not put off" in caplog.text)
    assert left(database) == [("1", 1)]
    assert outcomes(database) == []


def test_pauses_double_up_to_a_minute_and_differ_by_chance() -> None:
    for failures, longest in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (5000, 60)):
        pauses = {pause_after(failures) for _ in range(100)}
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


def test_one_kind_of_work_does_not_wait_for_another(
    database: Database, make_worker: MakeWorker
) -> None:
    go = Event()
    begun = Event()

    def do(_job: Job, _is_held: Callable[[], bool]) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    make_worker(Doing(database, do, kind="slow"), Doing(database))
    add(database, "s", kind="slow")
    assert begun.wait(PATIENCE)
    add(database, "1")
    wait_until(lambda: outcomes(database) == [("1", "done")])
    go.set()
    wait_until(lambda: left(database) == [])


def test_a_handler_that_is_listed_twice_does_two_jobs_at_once(
    database: Database, make_worker: MakeWorker
) -> None:
    begun = {"1": Event(), "2": Event()}

    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        begun[job.subject].set()
        assert all(event.wait(PATIENCE) for event in begun.values())

    handler = Doing(database, do)
    make_worker(handler, handler)
    add(database, "1", "2")
    wait_until(lambda: left(database) == [])


@pytest.mark.both_databases
def test_a_job_that_takes_longer_than_its_lease_is_held_all_the_time(
    database: Database, make_worker: MakeWorker
) -> None:
    def do(_job: Job, is_held: Callable[[], bool]) -> None:
        first = due_at()
        wait_until(lambda: due_at() > first + 2.0)  # it would have run out by then
        assert is_held()

    def due_at() -> float:
        with database.reading() as session:
            row = session.execute("SELECT due_at FROM jobs", {}).fetchone()
        return float(row[0]) if row else 0.0

    handler = Doing(database, do)
    make_worker(handler, handler, lease=2.0)
    add(database, "1")
    wait_until(lambda: left(database) == [])
    assert handler.tries == [1]
    assert outcomes(database) == [("1", "done")]


@pytest.mark.both_databases
def test_a_job_that_another_has_taken_is_not_held_and_not_ended(
    database: Database, make_worker: MakeWorker
) -> None:
    noticed = Event()

    def do(job: Job, is_held: Callable[[], bool]) -> None:
        assert is_held()
        with database.transaction() as session:
            session.execute("UPDATE jobs SET lease = 'of another'", {})
        wait_until(lambda: not is_held())
        noticed.set()

    worker = make_worker(Doing(database, do), lease=3.0, poll=3600.0)
    add(database, "1")
    worker.wake(KIND)
    assert noticed.wait(PATIENCE)
    worker.stop()
    worker.join(PATIENCE)
    assert left(database) == [("1", 1)]
    assert outcomes(database) == []


@pytest.mark.both_databases
def test_a_worker_that_stops_puts_back_what_is_under_way(
    database: Database, make_worker: MakeWorker
) -> None:
    begun = Event()
    errors = []

    def do(job: Job, is_held: Callable[[], bool]) -> None:
        begun.set()
        wait_until(lambda: not is_held())
        wait_until(lambda: left(database) == [("1", 0)])
        with pytest.raises(LeaseLost) as caught, database.transaction() as session:
            Jobs(session).end(job)
        errors.append(caught.value)
        raise caught.value

    worker = make_worker(Doing(database, do), lease=3600.0)
    add(database, "1")
    assert begun.wait(PATIENCE)
    worker.stop()
    worker.join(PATIENCE)
    assert job_threads() == []
    assert len(errors) == 1
    assert left(database) == [("1", 0)]

    make_worker(Doing(database))
    wait_until(lambda: outcomes(database) == [("1", "done")])


class Watched(Database):
    """A database that counts the transactions and the reads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transactions = 0
        self.reads = 0

    def reading(self) -> AbstractContextManager[Session]:
        self.reads += 1
        return self._database.reading()

    def snapshot(self) -> AbstractContextManager[Session]:
        self.reads += 1
        return self._database.snapshot()

    def transaction(self, interview: InterviewKey | None = None) -> AbstractContextManager[Session]:
        self.transactions += 1
        return self._database.transaction(interview)

    def check_writable(self) -> None:
        self._database.check_writable()

    @property
    def must_be_wiped(self) -> bool:
        return self._database.must_be_wiped

    def wipe(self, patience: float, *, thoroughly: bool) -> None:
        self._database.wipe(patience, thoroughly=thoroughly)

    def close(self) -> None:
        self._database.close()


def test_an_idle_worker_only_reads(database: Database) -> None:
    watched = Watched(database)
    worker = Worker(watched, [Doing(database)], poll=0.01, lease=0.03)
    with running(worker):
        wait_until(lambda: watched.reads > 20)
        assert watched.transactions == 0
        add(database, "1")
        wait_until(lambda: left(database) == [])
        assert watched.transactions > 0


def test_without_handlers_there_are_no_threads(database: Database) -> None:
    worker = Worker(database, [])
    worker.start()
    assert job_threads() == []
    worker.wake(KIND)
    worker.stop()
    worker.join()


def test_an_app_starts_no_work_by_itself(config: Config) -> None:
    app = create_app(config)
    assert job_threads() == []
    service(app).close()


@pytest.mark.both_databases
def test_a_worker_outlives_what_it_cannot_read_and_says_so_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def rename(old: str, new: str) -> None:
        with database.transaction() as session:
            session.execute(f"ALTER TABLE {old} RENAME TO {new}", {})

    watched = Watched(database)
    worker = Worker(watched, [Doing(database)], poll=0.01)
    rename("jobs", "gone")
    with running(worker):
        while watched.reads < 4:  # each time with a longer pause, unless it is woken
            worker.wake(KIND)
            time.sleep(0.01)
        rename("gone", "jobs")
        add(database, "1")
        worker.wake(KIND)
        wait_until(lambda: left(database) == [])
    assert caplog.text.count("Jobs of kind note wait") == 1


def test_a_job_goes_on_while_the_database_restarts(
    server: PostgresServer, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go = Event(), Event()

    def do(job: Job, _is_held: Callable[[], bool]) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    with server.schema() as url:
        database = open_database(Config(openai_api_key="", database_url=url))
        make_notes(database)
        handler = Doing(database, do)
        worker = Worker(database, [handler], lease=30.0, poll=0.01)
        with closing(database), running(worker):
            add(database, "1")
            assert begun.wait(PATIENCE)
            server.restart()
            go.set()
            wait_until(lambda: outcomes(database) == [("1", "done")])
            server.stop()
            worker.wake(KIND)
            wait_until(lambda: "Jobs of kind note wait" in caplog.text)
            server.start()
            add(database, "2")
            worker.wake(KIND)
            wait_until(lambda: outcomes(database) == [("1", "done"), ("2", "done")])
            assert left(database) == []


# Processes.


class Processes:
    """`python -m commands worker`, with the handler of the tests, several times."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.settings = {
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": config.openai_base_url or "",
            "DATABASE_URL": config.database_url,
            "NOTES": str(folder),
            "LEASE": "3",
            "TRIES": "5",
        }
        self.all: list[subprocess.Popen[bytes]] = []

    def start(
        self, arguments: Sequence[str] = ("tests/noting.py",), **settings: str
    ) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=APP_FOLDER,
                env={"PATH": os.environ["PATH"], **self.settings, **settings},
                stdout=log,
                stderr=log,
            )
        self.all.append(process)
        return process

    def begun(self, subject: str) -> list[int]:
        """The processes that have begun the job, in their order."""
        file = self.folder / "begun"
        lines = file.read_text().splitlines() if file.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == subject]

    def go(self) -> None:
        """Let the slow jobs end."""
        (self.folder / "go").touch()


@pytest.fixture
def processes(config: Config, tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(config, tmp_path)
    yield processes
    for process in processes.all:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


@pytest.mark.both_databases
def test_a_job_whose_process_is_killed_is_done_by_another(
    database: Database, processes: Processes
) -> None:
    killed, other = processes.start(), processes.start()
    add(database, "slow")
    (first,) = wait_until(lambda: processes.begun("slow"))
    if first == other.pid:
        killed, other = other, killed
    killed.kill()
    wait_until(lambda: processes.begun("slow") == [killed.pid, other.pid])
    processes.go()
    wait_until(lambda: left(database) == [])
    assert notes(database) == [("slow", other.pid, "done")]


@pytest.mark.both_databases
def test_a_process_that_stood_still_does_not_end_what_another_has_taken(
    database: Database, processes: Processes
) -> None:
    still, other = processes.start(), processes.start()
    add(database, "slow")
    (first,) = wait_until(lambda: processes.begun("slow"))
    if first == other.pid:
        still, other = other, still
    still.send_signal(signal.SIGSTOP)
    wait_until(lambda: processes.begun("slow") == [still.pid, other.pid])
    processes.go()
    wait_until(lambda: notes(database) == [("slow", other.pid, "done")])
    still.send_signal(signal.SIGCONT)
    wait_until(lambda: "Job note slow is not held here any more" in processes.log.read_text())
    assert notes(database) == [("slow", other.pid, "done")]
    assert left(database) == []

    other.kill()  # the one that stood still goes on with other work
    add(database, "1")
    wait_until(lambda: ("1", still.pid, "done") in notes(database))


@pytest.mark.both_databases
def test_a_job_that_kills_its_process_is_given_up_without_being_run_again(
    database: Database, processes: Processes
) -> None:
    add(database, "fatal")
    for _ in range(2):
        assert processes.start(TRIES="2").wait(PATIENCE) == -signal.SIGKILL
    survivor = processes.start(TRIES="2")
    wait_until(lambda: left(database) == [])
    reason = "Each process that began it ended before it was done."
    assert notes(database) == [("fatal", survivor.pid, reason)]
    assert len(processes.begun("fatal")) == 2
    assert survivor.poll() is None


@pytest.mark.long
@pytest.mark.both_databases
def test_a_thousand_jobs_are_each_done_once_by_four_processes(
    database: Database, processes: Processes
) -> None:
    subjects = sorted(f"{number}" for number in range(1000))
    started = [processes.start(LEASE="60") for _ in range(4)]
    ready = "Background work is done here"
    wait_until(lambda: processes.log.read_text().count(ready) == len(started))
    add(database, *subjects)
    wait_until(lambda: left(database) == [])
    done = notes(database)
    assert [subject for subject, _, _ in done] == subjects
    assert {outcome for _, _, outcome in done} == {"done"}
    assert len((processes.folder / "begun").read_text().splitlines()) == 1000
    workers = {process for _, process, _ in done}
    assert len(workers) > 1
    assert workers <= {process.pid for process in started}


@pytest.mark.long
@pytest.mark.both_databases
def test_processes_that_are_killed_again_and_again_lose_and_double_nothing(
    database: Database, processes: Processes
) -> None:
    subjects: list[str] = []
    # A short lease, so that what a killed process had is claimed by the next one.
    living = [processes.start(LEASE="1", TRIES="1000") for _ in range(2)]
    for _ in range(KILLS):
        subjects += [str(len(subjects) + number) for number in range(100)]
        enough = len(notes(database)) + 50
        add(database, *subjects[-100:])
        while len(notes(database)) < enough:
            assert living[0].poll() is None
            time.sleep(0.01)
        living.pop(0).kill()
        living.append(processes.start(LEASE="1", TRIES="1000"))
    wait_until(lambda: left(database) == [])
    done = notes(database)
    assert [subject for subject, _, _ in done] == sorted(subjects)
    assert {outcome for _, _, outcome in done} == {"done"}
    begun = (processes.folder / "begun").read_text().splitlines()
    print(f"{len(done)} jobs were begun {len(begun)} times, {KILLS} kills")


@pytest.mark.both_databases
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_well_and_puts_back_what_it_does(
    database: Database, processes: Processes, number: int
) -> None:
    # A web process's setting may be the same; whoever gives the command means it.
    told = processes.start(LEASE="3600", WORKER="off")
    add(database, "slow")
    wait_until(lambda: processes.begun("slow"))
    told.send_signal(number)
    assert told.wait(PATIENCE) == 0
    assert left(database) == [("slow", 0)]
    log = processes.log.read_text()
    assert "Background work is done here until SIGTERM or Ctrl-C." in log
    assert "Traceback" not in log
    assert "Fatal" not in log


def test_the_command_ends_while_the_database_is_silent(
    server: PostgresServer, processes: Processes
) -> None:
    with server.schema() as url:
        database = open_database(Config(openai_api_key="", database_url=url))
        with closing(database):
            make_notes(database)
            told = processes.start(DATABASE_URL=url, LEASE="60")
            add(database, "slow")
            wait_until(lambda: processes.begun("slow"))
            with server.silent():
                told.terminate()
                assert told.wait(PATIENCE) == 0
            assert left(database) == [("slow", 1)]  # until its lease runs out
    assert "Traceback" not in processes.log.read_text()


def test_the_command_runs_with_the_settings_of_the_service(processes: Processes) -> None:
    process = processes.start(("-m", "commands", "worker"))
    wait_until(lambda: "Background work is done here" in processes.log.read_text())
    process.terminate()
    assert process.wait(PATIENCE) == 0

    process = processes.start(("-m", "commands", "worker"), REPLY_DEADLINE="soon")
    assert process.wait(PATIENCE) != 0
    log = processes.log.read_text()
    assert "The service cannot start. REPLY_DEADLINE must be a number of seconds" in log
    assert "Traceback" not in log


# gunicorn.


@pytest.fixture
def make_instance(
    make_server: Callable[..., Gunicorn], processes: Processes, tmp_path: Path
) -> Callable[..., Gunicorn]:
    """Make an instance of the service that has the handler of the tests."""
    configuration = tmp_path / "noting.conf.py"
    configuration.write_text(CONFIGURED)

    def make(**settings: str) -> Gunicorn:
        defaults = {**processes.settings, "WEB_CONCURRENCY": "1"}
        return make_server("--config", str(configuration), **{**defaults, **settings})

    return make


@pytest.mark.both_databases
def test_an_instance_that_is_killed_leaves_its_job_to_another(
    database: Database, make_instance: Callable[..., Gunicorn], processes: Processes
) -> None:
    instances = [make_instance().start() for _ in range(2)]
    add(database, "slow")
    (first,) = wait_until(lambda: processes.begun("slow"))
    killed, other = instances
    if first in other.workers():
        killed, other = other, killed
    (survivor,) = other.workers()
    killed.kill()
    wait_until(lambda: processes.begun("slow") == [first, survivor])
    processes.go()
    wait_until(lambda: left(database) == [])
    assert notes(database) == [("slow", survivor, "done")]


@pytest.mark.both_databases
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_instance_that_is_told_to_stop_puts_its_job_back_and_ends(
    database: Database,
    make_instance: Callable[..., Gunicorn],
    processes: Processes,
    number: int,
) -> None:
    told = make_instance(LEASE="3600").start()
    add(database, "slow")
    wait_until(lambda: processes.begun("slow"))
    told.signal(number)
    assert told.wait() == 0
    assert left(database) == [("slow", 0)]
    log = told.log.read_text()
    assert "Traceback" not in log
    assert "Fatal" not in log

    other = make_instance(LEASE="3600").start()
    wait_until(lambda: len(processes.begun("slow")) == 2)
    processes.go()
    wait_until(lambda: left(database) == [])
    assert notes(database) == [("slow", *other.workers(), "done")]


def test_an_instance_gives_its_job_away_before_its_last_request_is_answered(
    database: Database,
    make_instance: Callable[..., Gunicorn],
    processes: Processes,
    rehearsal: Rehearsal,
) -> None:
    told = make_instance(LEASE="3600", REPLY_DEADLINE="600").start()
    add(database, "slow")
    wait_until(lambda: processes.begun("slow"))
    rehearsal.default = Behaviour(delay=600)
    body = json.dumps({**ANA.fields, "prompt": PROMPT}).encode()
    with socket.create_connection(("127.0.0.1", told.port)) as client:
        client.sendall(
            b"POST /start_interview HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_until(lambda: rehearsal.requests)
        told.terminate()
        wait_until(lambda: left(database) == [("slow", 0)])
        assert told.workers() != []
        told.kill()


def test_an_instance_with_the_worker_off_leaves_work_to_others(
    database: Database, make_instance: Callable[..., Gunicorn], processes: Processes
) -> None:
    add(database, "1")
    off = make_instance(WORKER="off").start()
    with off.api() as api:
        assert api.start().status == 200
    other = processes.start()
    wait_until(lambda: left(database) == [])
    assert notes(database) == [("1", other.pid, "done")]
    assert processes.begun("1") == [other.pid]


def test_the_metrics_count_tries_by_their_outcome(
    database: Database, make_instance: Callable[..., Gunicorn]
) -> None:
    add(database, "1", "2", "bad")
    instance = make_instance(METRICS="on", TRIES="3").start()
    wait_until(lambda: left(database) == [])

    def figures() -> set[str]:
        text = httpx2.get(f"http://127.0.0.1:{instance.port}/metrics").text
        return {line for line in text.splitlines() if line.startswith("tukma_jobs_total")}

    wait_until(
        lambda: (
            figures()
            == {
                'tukma_jobs_total{kind="note",outcome="done"} 2.0',
                'tukma_jobs_total{kind="note",outcome="failed"} 1.0',
                'tukma_jobs_total{kind="note",outcome="retried"} 2.0',
            }
        )
    )
