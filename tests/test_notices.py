"""Notices: what applicants are told before they start, by versions that never change."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api import ANA, Api, Applicant
from config import APP_FOLDER, Config
from recruiting import PLAN, position, put, rubric
from rights import consent, events, in_database, notice

MakeApi = Callable[..., Api]
OWN = {"text": "An AI asks.\n\nA person decides. <b>Nothing else.</b>", "language": "en"}
OTHER = {"text": "Eine KI fragt, ein Mensch entscheidet.", "language": "Deutsch"}


@pytest.mark.both_databases
def test_a_position_without_a_notice_has_the_default_in_its_language(api: Api) -> None:
    texts = {}
    for language in ("English", "Deutsch", "castellano", "français (Canada)", "Tagalog", "Klingon"):
        put(api, plan={**PLAN, "language": language})
        answer = notice(api)
        assert answer.status == 200
        assert set(answer.body) == {"status", "version", "text", "language"}
        texts[language] = (answer.body["language"], answer.body["text"])
    assert [code for code, _ in texts.values()] == ["en", "de", "es", "fr", "fil", "en"]
    assert texts["Klingon"] == texts["English"]
    for word, language in (
        ("eine KI", "Deutsch"),
        ("una IA", "castellano"),
        ("une IA", "français (Canada)"),
        ("Isang AI", "Tagalog"),
    ):
        assert word in texts[language][1]
    assert len({text for _, text in texts.values()}) == 5


def test_the_default_says_what_holds_for_the_position(make_api: MakeApi) -> None:
    api = make_api(contact="jobs@example.com {or} %s")
    put(api)
    plain = notice(api).body["text"]
    for told in (
        *("held by an AI", "not writing with a person", "What is kept", "Who reads it"),
        *("A person decides", "Another way", "48 hours", "erased", "jobs@example.com {or} %s"),
    ):
        assert told in plain
    assert "rates" not in plain
    put(api, rubric=rubric(), correctionHours=0)
    rated = notice(api).body["text"]
    assert "an AI also rates what you have written" in rated
    assert "add a note" not in rated
    assert "{" not in rated.replace("{or}", "")
    api = make_api(contact=None)
    put(api)
    assert notice(api).body["text"].endswith("the people who invited you.")


def test_every_language_has_every_paragraph_with_its_places() -> None:
    import tomllib

    texts = tomllib.loads((APP_FOLDER / "positions/default_notices.toml").read_text())
    english = texts["en"]
    assert set(texts) == {"en", "de", "es", "fr", "fil"}
    for of_language in texts.values():
        assert list(of_language) == list(english)
        for name, text in of_language.items():
            assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", english[name])


@pytest.mark.both_databases
def test_a_notice_of_ones_own_is_shown_as_it_was_put(api: Api) -> None:
    put(api, notice=OWN)
    assert position(api)["notice"] == OWN
    answer = notice(api)
    assert answer.body == {"status": "success", "version": 1, **OWN}
    put(api, notice=OTHER)
    assert notice(api).body["version"] == 2
    put(api)
    assert position(api)["notice"] is None
    assert notice(api).body["language"] == "en"


@pytest.mark.both_databases
def test_versions_never_change_and_can_be_read_for_ever(api: Api, config: Config) -> None:
    put(api)
    default = notice(api).body
    put(api, notice=OWN)
    put(api, notice=OWN, title="Head nurse")  # the same notice again is no new version
    put(api, notice=OTHER)
    put(api, notice=OWN)  # as the newest is another one
    assert notice(api).body["version"] == position(api)["noticeVersion"] == 4
    for version, told in ((1, default), (2, OWN), (3, OTHER), (4, OWN)):
        answer = notice(api, version=version)
        assert answer.body == {"status": "success", **told, "version": version}
    assert notice(api, version=5).status == notice(api, version=0).status == 404
    details = [json.loads(detail) for _, detail in events(config, "position.put")]
    assert [detail["notice_version"] for detail in details] == [1, 2, 2, 3, 4]


def test_a_put_without_the_new_fields_works_as_before(api: Api) -> None:
    put(api, notice=OWN, consentRequired=True, correctionHours=3)
    read = position(api)
    assert (read["consentRequired"], read["correctionHours"]) == (True, 3)
    put(api)
    read = position(api)
    assert (read["notice"], read["consentRequired"], read["correctionHours"]) == (None, False, 48)
    put(api, notice=None, consentRequired=None, correctionHours=None)
    assert position(api) == {**read, "updated_at": position(api)["updated_at"]}


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("notice", {"text": " ", "language": "en"}, "notice.text must not be blank."),
        ("notice", {"text": "x"}, "notice.language is missing."),
        ("notice", {"text": "x", "language": ""}, "notice.language must not be blank."),
        ("notice", {"text": "x" * 20_001, "language": "en"}, "notice.text must not be longer"),
        ("notice", {"text": "a\0", "language": "en"}, "notice.text must not hold NUL."),
        ("notice", "Hello", "notice must be an object."),
        ("consentRequired", "yes", "consentRequired must be true or false."),
        ("correctionHours", -1, "correctionHours must be 0 or more."),
        ("correctionHours", 2161, "correctionHours must be 2160 or less."),
        ("correctionHours", 1.5, "correctionHours must be a whole number."),
        ("correctionHours", True, "correctionHours must be a whole number."),
    ],
)
def test_a_field_that_makes_no_sense_is_named(
    api: Api, field: str, value: Any, sentence: str
) -> None:
    answer = put(api, **{field: value})
    assert answer.status == 400
    assert sentence in answer.body["error"]


def test_a_notice_as_long_as_it_may_be_is_taken(api: Api) -> None:
    long = {"text": "\U0001f642" * 20_000, "language": "x" * 100}
    assert put(api, notice=long).status == 200
    assert notice(api).body["text"] == long["text"]


def test_an_access_key_without_a_position_has_no_notice(api: Api) -> None:
    assert api.start().status == 200
    answer = notice(api)
    assert (answer.status, answer.body["error"]) == (
        404,
        "There is no position with this access key.",
    )


@pytest.mark.both_databases
def test_an_applicant_who_is_named_learns_what_they_have_done(api: Api) -> None:
    put(api, consentRequired=True)
    fresh = {
        "consentRequired": True,
        "correctionHours": 48,
        "accepted_at": None,
        "another_way_at": None,
    }
    assert notice(api, ANA).body == {**notice(api).body, **fresh}
    accepted = consent(api, 1).body["accepted_at"]
    asked = api.post("/another_way", ANA.fields).body["asked_at"]
    answer = notice(api, ANA).body
    assert (answer["accepted_at"], answer["another_way_at"]) == (accepted, asked)
    assert notice(api, ANA.named("Mei")).body == {**notice(api).body, **fresh}
    put(api, notice=OWN)  # which Ana has not accepted
    assert notice(api, ANA).body["accepted_at"] is None
    assert notice(api, ANA, version=1).body["accepted_at"] == accepted


@pytest.mark.parametrize(
    "query", [{"version": "x"}, {"version": ""}, {"version": -1}, {"name": "a\0", "email": "a@b"}]
)
def test_a_query_that_makes_no_sense_is_refused(api: Api, query: dict[str, Any]) -> None:
    put(api)
    assert notice(api, **query).status == 400


@pytest.mark.both_databases
def test_the_notice_of_an_older_position_is_stored_when_it_is_first_shown(
    api: Api, make_api: MakeApi, config: Config
) -> None:
    put(api, plan=PLAN)
    before = position(api)
    forget_notices(config)
    assert position(api)["noticeVersion"] is None
    assert api.start().status == 200  # as before
    others = [make_api() for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(notice, [api, *others] * 4))
    assert {answer.status for answer in answers} == {200}
    assert {(answer.body["version"], answer.body["language"]) for answer in answers} == {(1, "es")}
    assert in_database(config, "SELECT version FROM notices") == [(1,)]
    assert consent(api, 1).status == 200
    # Whoever has the position's form open has not been overtaken.
    assert position(api) == before


def forget_notices(config: Config) -> None:
    """Leave the positions as an earlier version of the service has stored them."""
    in_database(config, "UPDATE positions SET notice_version = NULL")
    in_database(config, "DELETE FROM notices")


def test_a_notice_can_be_read_while_the_disk_is_full(
    api: Api, config: Config, database_path: Path
) -> None:
    put(api)
    told = notice(api).body["text"]
    forget_notices(config)
    program = f"""
import resource, signal
from pathlib import Path
from app import app
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
client = app.test_client()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
full = client.get("/notice/job-1")
assert full.status_code == 200, full.text
assert full.json["version"] is None
assert client.post("/consent", json={{**{ANA.fields!r}, "version": 1}}).status_code in (404, 503)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
again = client.get("/notice/job-1")
assert again.json["version"] == 1
assert full.json["text"] == again.json["text"]
print(again.json["text"], end="")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=APP_FOLDER,
        # A module that is compiled meanwhile would be stored in part.
        env={
            "OPENAI_API_KEY": "any",
            "DATABASE_URL": config.database_url,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(told)
    with sqlite3.connect(database_path) as file:
        assert file.execute("SELECT COUNT(*) FROM notices").fetchone() == (1,)
    file.close()


@pytest.mark.both_databases
def test_positions_that_are_put_at_once_leave_versions_in_a_row(
    api: Api, make_api: MakeApi
) -> None:
    apis = [api, make_api()]
    texts = [f"Notice {number}" for number in range(12)]

    def put_one(number: int) -> int:
        told = {"text": texts[number], "language": "en"}
        return put(apis[number % 2], notice=told).status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(put_one, range(12))) == {200}
    stored = [notice(api, version=version).body["text"] for version in range(1, 13)]
    assert sorted(stored) == sorted(texts)
    assert notice(api).body == {**notice(api, version=12).body}


def test_an_access_key_may_be_anything_that_a_position_has(api: Api) -> None:
    odd = Applicant("Ä b%c+d?e", "x", "y@z")
    put(api, odd.access_key, notice=OWN)
    answer = notice(api, odd, access_key="%C3%84%20b%25c%2Bd%3Fe")
    assert answer.body["text"] == OWN["text"]
