"""Notices, consents, requests for another way and notes of an SQLite file in PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from api import ANA, Api
from commands.import_sqlite import Imported, import_file
from commands.importing.errors import ImportingError
from config import Config
from openai_api.rehearsal import Rehearsal
from recruiting import position, put
from rights import ask, consent, correct, digest, hold, in_database, notice
from scored import put_position, request_scorecard

MEI = ANA.named("Mei")
OWN = {"text": "An AI asks.", "language": "en"}


def stored(imported: Imported) -> list[str]:
    return [str(other) for other in imported.others]


def test_what_applicants_were_told_and_have_done_comes_along(
    api: Api,
    on_target: Callable[..., Api],
    target: Config,
    database_path: Path,
    rehearsal: Rehearsal,
) -> None:
    put(api)
    assert consent(api, 1).status == 200
    put(api, notice=OWN, consentRequired=True, correctionHours=5)
    assert consent(api, 2).status == 200
    (said,) = hold(api, rehearsal, "I began in 2009.")
    for note in ("In 2019.", "No, in 2018."):
        assert correct(api, said["id"], note).status == 200
    assert ask(api, MEI).status == 200
    first = stored(import_file(database_path, target))
    assert first == [
        "2 of 2 versions of notices",
        "1 of 1 positions",
        "2 of 2 consents",
        "1 of 1 requests for another way",
        "2 of 2 notes to messages",
    ]
    there = on_target()
    assert position(there) == position(api)
    for version in (1, 2):
        assert notice(there, ANA, version=version).body == notice(api, ANA, version=version).body
    assert notice(there, MEI).body == notice(api, MEI).body
    assert there.messages() == api.messages()
    assert stored(import_file(database_path, target)) == [
        line.replace(line[:1], "0", 1) for line in first
    ]
    # What has come since is added.
    assert correct(api, said["id"], "In 2017.").status == 200
    assert correct(there, said["id"], "In 2017.").status == 200
    assert ask(api).status == 200
    with pytest.raises(ImportingError, match="other notes"):
        import_file(database_path, target)
    in_database(target, "DELETE FROM corrections WHERE note = 'In 2017.'")
    imported = stored(import_file(database_path, target))
    assert "1 of 2 requests for another way" in imported
    assert "1 of 3 notes to messages" in imported
    assert there.messages() == api.messages()


def test_a_note_goes_with_its_message_where_that_gets_another_id(
    api: Api,
    on_target: Callable[..., Api],
    target: Config,
    database_path: Path,
    rehearsal: Rehearsal,
) -> None:
    there = on_target()
    for name in ("Zoe", "Yan"):
        there.start(ANA.named(name))  # have the ids
    put_position(api)
    _, second = hold(api, rehearsal, "One.", "Two.")
    assert correct(api, second["id"], "More than two.").status == 200
    request_scorecard(api)
    with pytest.raises(ImportingError, match="the scorecards of 1 interviews"):
        import_file(database_path, target)
    for _ in range(2):
        import_file(database_path, target, skip=True)
        messages = there.messages()
        assert [message.get("correction", {}).get("note") for message in messages] == [
            message.get("correction", {}).get("note") for message in api.messages()
        ]
        assert messages[4]["id"] != second["id"]
        assert messages[4]["correction"]["note"] == "More than two."
    assert in_database(target, "SELECT COUNT(*) FROM corrections") == [(1,)]


def test_notices_and_consents_that_differ_are_listed(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path
) -> None:
    there = on_target()
    put(api, notice=OWN)
    put(there, notice={**OWN, "text": "A machine asks."})
    put(api, "job-2", consentRequired=True)
    put(there, "job-2")
    with psycopg.connect(target.database_url) as connection:
        connection.execute(
            "INSERT INTO consents (interview, position, access_key, name, email, version,"
            " accepted_at) VALUES (%s, 'p', 'job-1', 'Ana', 'a@b', 1, 'another time')",
            [digest(ANA)],
        )
    assert consent(api, 1).status == 200
    with pytest.raises(ImportingError) as refused:
        import_file(database_path, target)
    lines = str(refused.value).splitlines()
    assert "other versions of their notice" in lines[0]
    assert lines[1].strip() == "job-1"
    assert "other contents" in lines[2]
    assert lines[3].strip() == "job-2"
    assert "other consents" in lines[4]
    assert lines[5].strip() == " / ".join(ANA.fields.values())


def test_a_position_whose_notice_nobody_has_read_is_no_other_position(
    api: Api, on_target: Callable[..., Api], target: Config, database_path: Path, config: Config
) -> None:
    there = on_target()
    put(api)
    put(there)
    in_database(config, "UPDATE positions SET notice_version = NULL")
    in_database(config, "DELETE FROM notices")
    assert stored(import_file(database_path, target)) == ["0 of 1 positions"]
    assert notice(there).body["version"] == 1
