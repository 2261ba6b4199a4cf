"""`python -m commands verify-audit`: what it prints, and how it ends."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api import ANA, Api
from audited import change
from config import Config
from db import Database, open_database, position_digest
from recruiting import put
from server import run_command

pytestmark = pytest.mark.both_databases

OTHER = replace(ANA, access_key="job-2")


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


@pytest.fixture
def held(make_api: Callable[..., Api]) -> Api:
    """Interviews of a position, and of an access key without one."""
    api = make_api()
    put(api)
    for applicant in (ANA, OTHER, replace(OTHER, name="Mei")):
        assert api.start(applicant).status == 200
    return api


def verify(config: Config, *arguments: object) -> "subprocess.CompletedProcess[str]":
    done = run_command(config.database_url, "verify-audit", *arguments)
    done.stdout = re.sub(r'^{"time.*\n', "", done.stdout, flags=re.MULTILINE)
    return done


def test_a_trail_that_is_as_it_was_written_is_told_with_its_head(held: Api, config: Config) -> None:
    done = verify(config)
    assert (done.returncode, done.stderr) == (0, "")
    heads = {}
    for line in done.stdout.splitlines():
        (name, digest) = re.fullmatch(  # type: ignore[union-attr]
            r"(.+): 2 events, as they were written; head 2 ([0-9a-f]{64}) of [0-9a-f]{64}", line
        ).groups()
        heads[name] = digest
    newest = {one: held.get(f"/audit/{one}").body["events"][-1] for one in ("job-1", "job-2")}
    without_position = f"Position {position_digest('job-2')[:16]}..."
    assert heads == {"job-1": newest["job-1"]["hash"], without_position: newest["job-2"]["hash"]}


def test_one_access_key_is_verified_by_itself(held: Api, config: Config) -> None:
    done = verify(config, "job-2")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert position_digest("job-2") in done.stdout
    nothing = verify(config, "job-3")
    assert nothing.returncode == 0
    assert ": 0 events, as they were written; head 0 " in nothing.stdout


def test_what_was_changed_is_named_with_its_position_and_its_event(
    held: Api, config: Config, database: Database
) -> None:
    assert verify(config).returncode == 0
    change(
        database,
        "UPDATE audit_events SET actor = 'system' WHERE position = :position AND sequence = 2",
    )
    done = verify(config)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("job-1: ")]
    assert ", wrong; head 2 " in lines[place]
    assert lines[place + 1] == "  Event 2 was changed or put in, or the one before it was."
    assert len(lines) == 3
    assert verify(config, "job-2").returncode == 0
    assert verify(config, "job-1").returncode == 1


def test_a_head_that_was_kept_finds_a_trail_that_was_written_anew(
    held: Api, config: Config, database: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "heads"
    kept.write_text(verify(config).stdout)
    assert held.start(ANA.named("Mei")).status == 200
    assert verify(config, "--heads", kept).returncode == 0
    # The whole trail of one position, and the end of another's, as if they had never been.
    change(database, "DELETE FROM audit_events WHERE position = :position")
    change(database, "DELETE FROM audit_heads WHERE position = :position")
    assert held.start(ANA.named("Noor")).status == 200
    assert verify(config).returncode == 0
    done = verify(config, "--heads", kept)
    assert done.returncode == 1
    assert "  Event 2, whose hash was kept, is missing." in done.stdout
    change(database, "DELETE FROM audit_events WHERE position = :position")
    change(database, "DELETE FROM audit_heads WHERE position = :position")
    gone = verify(config, "--heads", kept)
    assert gone.returncode == 1
    assert f"of {position_digest('job-1')}" in gone.stdout


def test_of_very_many_that_are_wrong_some_are_told(
    held: Api, config: Config, database: Database
) -> None:
    for number in range(30):
        assert held.start(ANA.named(f"Ana {number}")).status == 200
    assert verify(config).returncode == 0
    change(database, "UPDATE audit_events SET at = '' WHERE position = :position")
    done = verify(config, "job-1")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 22
    assert "  And 12 more of this kind." in done.stdout


def test_a_database_that_cannot_be_used_is_one_sentence(config: Config, tmp_path: Path) -> None:
    done = run_command(f"sqlite:///{tmp_path}", "verify-audit")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
