"""Scorecards while processes die: none is lost, none made twice, none half, no run asked again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import ANA, Api
from config import Config
from db import Database, open_database
from openai_api.rehearsal import Behaviour, Rehearsal
from scored import finished, hold, put_position, request_scorecard, scored
from server import APP_FOLDER, Gunicorn
from waiting import wait_until

Json = Any

pytestmark = pytest.mark.both_databases

SAID = (
    "I check the patient's blood pressure before I give any of the medicine.",
    "When my colleague was overwhelmed, I took over two of her patients for the night.",
)

# The transactions of a scorecard with two criteria: claim, begin, six runs, finish.
STEPS = 9


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def count(database: Database, table: str) -> int:
    with database.reading() as session:
        row = session.execute(f"SELECT COUNT(*) FROM {table}", {}).fetchone()
    assert row is not None
    number: int = row[0]
    return number


def stored_runs(database: Database) -> dict[tuple[Any, ...], str]:
    """What is stored of each run of each pending scorecard."""
    with database.reading() as session:
        rows = session.execute(
            "SELECT scorecard, criterion, is_masked, run, answer FROM scorecard_runs", {}
        ).fetchall()
    return {(scorecard, *key): answer for scorecard, *key, answer in rows}


def die(config: Config, step: int, moment: str) -> None:
    """Let a process work until it dies at this step."""
    done = subprocess.run(
        [sys.executable, "tests/dying.py", str(step), moment],
        cwd=APP_FOLDER,
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_API_KEY": config.openai_api_key,
            "OPENAI_BASE_URL": config.openai_base_url or "",
            "DATABASE_URL": config.database_url,
        },
        check=False,
        capture_output=True,
        timeout=90,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_that_is_killed_at_any_step_leaves_the_rest_to_another(
    make_api: Callable[..., Api],
    config: Config,
    database: Database,
    rehearsal: Rehearsal,
    moment: str,
) -> None:
    api = make_api()
    put_position(api)
    applicants = [ANA.named(f"Applicant {step}") for step in range(1, STEPS + 1)]
    stored: dict[tuple[Any, ...], str] = {}
    pending = {}
    for step, applicant in enumerate(applicants, 1):
        hold(api, rehearsal, *SAID, applicant=applicant)
        pending[applicant] = request_scorecard(api, applicant)
        die(config, step, moment)
        stored |= stored_runs(database)
    assert stored

    worker = make_api(works=True)
    for applicant, scorecard_id in pending.items():
        found = finished(worker, applicant, scorecard_id)
        assert (found["state"], found["total"]) == ("scored", 3)
        assert len(found["record"]["runs"]) == 6
        for run in found["record"]["runs"]:
            key = (found["id"], run["criterion"], int(run["is_masked"]), run["run"])
            if key in stored:  # it counts, and no other answer that was asked for later
                assert f'"seconds":{run["seconds"]!r}' in stored[key]
    assert count(database, "scorecards") == STEPS
    assert count(database, "scorecard_runs") == count(database, "jobs") == 0


def test_two_processes_at_once_make_each_scorecard_once(
    make_api: Callable[..., Api], database: Database, rehearsal: Rehearsal
) -> None:
    apis = [make_api(works=True), make_api(works=True)]
    put_position(apis[0])
    applicants = [ANA.named(f"Applicant {number}") for number in range(8)]
    for applicant in applicants:
        hold(apis[0], rehearsal, *SAID, applicant=applicant)
    rehearsal.requests.clear()
    for number, applicant in enumerate(applicants):
        request_scorecard(apis[number % 2], applicant)
    for applicant in applicants:
        assert finished(apis[0], applicant)["state"] == "scored"
    assert count(database, "scorecards") == 8
    assert count(database, "jobs") == 0
    assert len(rehearsal.requests) == 8 * 6


@pytest.mark.long
def test_an_instance_that_is_killed_leaves_its_scorecard_to_the_other(
    make_server: Callable[..., Gunicorn], database: Database, rehearsal: Rehearsal
) -> None:
    killed, other = make_server(WEB_CONCURRENCY="1"), make_server(WEB_CONCURRENCY="1")
    killed.start()
    with killed.api() as api:
        put_position(api)
        hold(api, rehearsal, *SAID)
        rehearsal.default = Behaviour(delay=1.0)
        scorecard_id = request_scorecard(api)
        wait_until(lambda: stored_runs(database))
        killed.kill()
    stored = stored_runs(database)
    assert 0 < len(stored) < 6
    before = len(rehearsal.requests)
    rehearsal.default = Behaviour()
    other.start()
    with other.api() as api:
        found = finished(api, ANA, scorecard_id)
        assert found["state"] == "scored"
    assert len(rehearsal.requests) - before == 6 - len(stored)
    assert count(database, "scorecards") == 1


def test_the_time_of_an_attempt_is_bounded_and_what_it_has_is_kept(
    make_api: Callable[..., Api], database: Database, rehearsal: Rehearsal
) -> None:
    api = make_api(works=True, scoring_deadline=1.0, scoring_calls=1)
    put_position(api)
    hold(api, rehearsal, *SAID)
    rehearsal.requests.clear()
    rehearsal.misbehave(Behaviour(), Behaviour(), "silence")
    found = scored(api)
    assert (found["state"], len(found["record"]["runs"])) == ("scored", 6)
    assert len(rehearsal.requests) == 7  # the two of the first attempt were not asked again


@pytest.mark.long
def test_a_model_that_stays_silent_makes_a_scorecard_that_has_failed(
    make_api: Callable[..., Api], database: Database, rehearsal: Rehearsal
) -> None:
    api = make_api(works=True, scoring_deadline=0.2)
    put_position(api)
    hold(api, rehearsal, *SAID)
    rehearsal.default = Behaviour(delay=60)
    found = scored(api)
    assert (found["state"], found["criteria"], found["total"]) == ("failed", [], None)
    assert found["reason"]
    assert count(database, "jobs") == 0
    assert api.post("/score_interview", ANA.fields).status == 202


def test_the_closing_message_and_the_wish_for_a_scorecard_are_stored_together(
    make_api: Callable[..., Api], database: Database, rehearsal: Rehearsal
) -> None:
    api = make_api()
    put_position(api, scoring="automatic")
    assert api.start().status == 200
    rehearsal.misbehave("no_quota")
    assert api.reply(SAID[0]).status == 500
    assert count(database, "scorecards") == count(database, "jobs") == 0
    rehearsal.misbehave(Behaviour(message={"content": "Thank you for your time and insights."}))
    assert api.reply(SAID[1]).status == 200
    assert count(database, "scorecards") == count(database, "jobs") == 1
    assert finished(make_api(works=True))["state"] == "scored"


def test_runs_of_two_scorers_do_not_mix(
    make_api: Callable[..., Api], config: Config, database: Database, rehearsal: Rehearsal
) -> None:
    api = make_api()
    put_position(api)
    hold(api, rehearsal, *SAID)
    scorecard_id = request_scorecard(api)
    die(config, 4, "after")
    assert stored_runs(database)
    new = make_api(works=True, scoring_runs=1)
    found = finished(new, ANA, scorecard_id)
    assert found["record"]["scorer"]["runs"] == 1
    assert [run["run"] for run in found["record"]["runs"]] == [1, 1]
    assert new.post("/score_interview", ANA.fields).body["scorecard"] == found
    assert request_scorecard(api) != scorecard_id
