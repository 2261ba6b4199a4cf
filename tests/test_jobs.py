"""The queries of jobs: what is claimed, by whom, and for how long."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from background.jobs import Job, Jobs, LeaseLost
from config import Config
from db import Database, DatabaseUnavailable, Session, open_database
from storage.database import Rows
from waiting import wait_until

pytestmark = pytest.mark.both_databases


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def add(database: Database, *subjects: str, kind: str = "score", delay: float = 0.0) -> None:
    for subject in subjects:
        with database.transaction() as session:
            Jobs(session).add(kind, subject, delay)


def claim(database: Database, lease: str, seconds: float = 60.0, kind: str = "score") -> Job | None:
    with database.transaction() as session:
        return Jobs(session).claim(kind, lease, seconds)


def claimed(database: Database, lease: str, seconds: float = 60.0) -> Job:
    job = claim(database, lease, seconds)
    assert job is not None
    return job


def is_due(database: Database, kind: str = "score") -> bool:
    with database.reading() as session:
        return Jobs(session).is_due(kind)


def rows(database: Database) -> list[tuple[object, ...]]:
    with database.reading() as session:
        query = "SELECT kind, subject, attempts, lease FROM jobs ORDER BY id"
        return session.execute(query, {}).fetchall()


def test_the_job_that_has_been_due_for_longest_is_claimed_first(database: Database) -> None:
    add(database, "late", delay=-1)
    add(database, "later")
    add(database, "latest", delay=-2)
    add(database, "in an hour", delay=3600)
    assert [claimed(database, lease).subject for lease in "abc"] == ["latest", "late", "later"]
    assert claim(database, "d") is None
    assert not is_due(database)


def test_a_kind_is_claimed_by_itself(database: Database) -> None:
    add(database, "1", kind="webhook")
    assert not is_due(database)
    assert claim(database, "a") is None
    assert is_due(database, "webhook")
    job = claim(database, "a", kind="webhook")
    assert job is not None
    assert (job.kind, job.subject, job.attempts, job.lease) == ("webhook", "1", 1, "a")


def test_a_job_is_added_with_what_causes_it_or_not_at_all(database: Database) -> None:
    def fail(session: Session) -> None:
        Jobs(session).add("score", "1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        fail(session)
    assert rows(database) == []


def test_a_job_that_is_added_again_stays_as_it_is(database: Database) -> None:
    add(database, "1")
    claimed(database, "a")
    add(database, "1")
    assert rows(database) == [("score", "1", 1, "a")]
    assert not is_due(database)


def test_a_lease_that_has_run_out_passes_to_the_next_and_is_lost_to_the_first(
    database: Database,
) -> None:
    add(database, "1")
    first = claimed(database, "a", seconds=0.0)
    second = claimed(database, "b")
    assert (second.id, second.attempts) == (first.id, 2)
    with pytest.raises(LeaseLost), database.transaction() as session:
        Jobs(session).end(first)
    with pytest.raises(LeaseLost), database.transaction() as session:
        Jobs(session).put_off(first, 0.0)
    with database.transaction() as session:
        assert not Jobs(session).renew(first, 60.0)
        Jobs(session).put_back(first)
    assert rows(database) == [("score", "1", 2, "b")]
    with database.transaction() as session:
        Jobs(session).end(second)
    assert rows(database) == []


def test_a_lease_that_has_run_out_is_kept_by_its_holder_if_nobody_else_came(
    database: Database,
) -> None:
    add(database, "1")
    job = claimed(database, "a", seconds=0.0)
    assert is_due(database)
    with database.transaction() as session:
        assert Jobs(session).renew(job, 60.0)
    assert not is_due(database)
    assert claim(database, "b") is None
    with database.transaction() as session:
        Jobs(session).end(job)


def test_a_lease_that_is_not_renewed_runs_out_by_itself(database: Database) -> None:
    add(database, "1")
    claimed(database, "a", seconds=0.5)
    assert claim(database, "b") is None
    job = wait_until(lambda: claim(database, "b"))
    assert job is not None
    assert job.attempts == 2


def test_a_job_that_is_put_off_is_due_later_and_counts_as_tried(database: Database) -> None:
    add(database, "1", delay=-2)
    add(database, "2", delay=-1)
    for lease, pause in (("a", 0.0), ("b", 3600.0)):
        job = claimed(database, lease)
        with database.transaction() as session:
            Jobs(session).put_off(job, pause)
    assert rows(database) == [("score", "1", 1, None), ("score", "2", 1, None)]
    assert claimed(database, "c").subject == "1"
    assert claim(database, "d") is None


def test_a_job_that_is_put_back_is_due_at_once_and_does_not_count_as_tried(
    database: Database,
) -> None:
    add(database, "1")
    job = claimed(database, "a")
    with database.transaction() as session:
        Jobs(session).put_back(job)
    assert rows(database) == [("score", "1", 0, None)]
    assert claimed(database, "b").attempts == 1


def test_what_is_stored_with_a_lost_lease_is_undone(database: Database) -> None:
    add(database, "1")
    job = claimed(database, "a", seconds=0.0)
    claimed(database, "b")

    def finish(session: Session) -> None:
        Jobs(session).add("score", "of the loser")
        Jobs(session).end(job)

    with pytest.raises(LeaseLost), database.transaction() as session:
        finish(session)
    assert rows(database) == [("score", "1", 2, "b")]


def test_many_who_claim_at_once_get_a_job_each(database: Database) -> None:
    subjects = [str(number) for number in range(40)]
    add(database, *subjects)
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: claimed(database, f"lease-{number}"), range(40)))
    assert sorted(job.subject for job in jobs) == sorted(subjects)
    assert claim(database, "one too many") is None


def test_an_end_and_a_claim_at_once_leave_one_of_them(database: Database) -> None:
    def end(job: Job) -> bool:
        try:
            with database.transaction() as session:
                Jobs(session).end(job)
        except (LeaseLost, DatabaseUnavailable):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            add(database, str(number))
            job = claimed(database, "a", seconds=0.0)
            ended, taken = pool.submit(end, job), pool.submit(claim, database, "b")
            other = taken.result()
            assert ended.result() == (other is None)
            if other is not None:
                assert end(other)
    assert rows(database) == []


class Explaining:
    """A session that explains its queries instead of running them."""

    def __init__(self, session: Session, explain: str) -> None:
        self._session = session
        self._explain = explain
        self.one_interview = session.one_interview
        self.one_access_key = session.one_access_key
        self.skip_locked = session.skip_locked
        self.now = session.now
        self.keep_out = session.keep_out
        self.forget_samples = session.forget_samples
        self.plans: list[str] = []

    def execute(self, query: str, values: Mapping[str, object]) -> Rows:
        rows = self._session.execute(f"{self._explain} {query}", values).fetchall()
        self.plans.append(str(rows))
        return self._session.execute("SELECT 1 WHERE 1 = 0", {})


def test_a_look_and_a_claim_find_their_row_by_the_index(database: Database, config: Config) -> None:
    with database.transaction() as session:
        if config.is_postgresql:  # else it reads the whole of an empty table
            session.execute("SET LOCAL enable_seqscan = off", {})
        explaining = Explaining(
            session, "EXPLAIN" if config.is_postgresql else "EXPLAIN QUERY PLAN"
        )
        Jobs(explaining).is_due("score")
        Jobs(explaining).claim("score", "a", 1.0)
    assert len(explaining.plans) == 2
    for plan in explaining.plans:
        assert "jobs_due" in plan
        assert re.search(r"kind = .*due_at <=|kind=\? AND due_at<\?", plan)
        assert "Filter" not in plan
