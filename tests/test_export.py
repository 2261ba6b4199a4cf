"""What is kept on one person, taken away: all of it, nothing else, and nothing that could run."""

import ast
import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from access.api_keys import hash_of
from api import ANA, Api, Applicant
from config import APP_FOLDER, Config
from db import Database, open_database
from exported import (
    SHOWN_AT,
    Html,
    Json,
    held,
    key_of,
    schema,
    store_person,
    store_position,
    unpacked,
)
from openai_api.rehearsal import Rehearsal
from records.exporting.tables import EXPORTED
from scored import hold, put_position, scored
from server import NO_AUTHORITIES

MEI = Applicant(ANA.access_key, "Mei", "mei@example.com")

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>"
    "<!-- --></style><a href='javascript:alert(4)'>{{ 7 * 7 }}{% raw %}&lt;b&gt;\u202e\u2028"
)


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def exported(api: Api, applicant: Applicant = ANA) -> Json:
    """The document, held against its schema."""
    answer = api.get(f"/export_interview/{applicant.path}")
    assert answer.status == 200
    assert "Accept" in answer.headers["Vary"]
    return held(answer.body)


def files(api: Api, applicant: Applicant = ANA) -> dict[str, str]:
    answer = api.raw("GET", f"/export_interview/{applicant.path}?format=zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    return unpacked(answer.data)


@pytest.mark.both_databases
def test_everything_about_a_person_is_exported_and_nothing_of_another(
    api: Api, database: Database
) -> None:
    store_position(database, ANA.access_key, "Position")
    store_person(database, ANA, "Hers")
    store_person(database, MEI, "Foreign")
    store_person(database, Applicant("job-2", ANA.name, ANA.email), "Elsewhere")
    document = exported(api)

    parts = {table.name for table in EXPORTED} & set(document)
    assert parts >= {"messages", "consents", "other_ways", "legal_holds", "erasures"}
    for part in parts:
        assert document[part] or part == "jobs", part  # hers belongs to a scorecard
    (scorecard,) = document["scorecards"]
    for part in ("runs", "reviews", "jobs", "record", "result", "scores"):
        assert scorecard[part], part

    text = json.dumps(document)
    words = (
        *("prompt", "question", "answer", "goodbye", "set aside", "note", "title", "rationale"),
        *("q", "no", "run", "of the model", "review", "reviewer", "reason", "decider"),
        *("hold", "holder"),
    )
    for word in words:
        assert f'"Hers {word}"' in text
    for foreign in ("Foreign", "Elsewhere", MEI.email, "secret"):
        assert foreign not in text


@pytest.mark.both_databases
def test_values_are_read_as_what_they_are(api: Api, database: Database) -> None:
    store_position(database, ANA.access_key, "Position")
    scorecard_id = store_person(database, ANA)
    document = exported(api)
    assert document["digest"] == key_of(ANA).digest()
    assert document["status"] == "finished"
    assert [(one["role"], one["who"]) for one in document["messages"]] == [
        ("system", "prompt"),
        ("system", "interviewer"),
        ("user", "applicant"),
        ("system", "interviewer"),
        ("aside", "set aside"),
    ]
    assert document["consents"] == [{"version": 2, "accepted_at": SHOWN_AT}]
    assert document["invitations"][0]["metadata"] == {"id": "Words"}
    assert document["token_revocations"] == 2
    assert document["audit_events"][0]["detail"] == {}
    (scorecard,) = document["scorecards"]
    assert (scorecard["id"], scorecard["scores"]) == (scorecard_id, {"care": 4})
    assert scorecard["runs"] == [
        {
            "criterion": "care",
            "is_masked": True,
            "run": 2,
            "answer": {"answer": "Words of the model"},
        }
    ]
    position = document["position"]
    assert position["body"]["plan"] == {"objective": "Position objective"}
    # Those that were used for her, and those of now.
    assert [one["version"] for one in position["rubrics"]] == [1, 2]
    assert [one["version"] for one in position["notices"]] == [2, 3]


@pytest.mark.both_databases
def test_a_hold_on_the_position_is_shown_as_one(api: Api, database: Database) -> None:
    store_person(database, ANA)
    with database.transaction() as session:
        session.execute(
            "INSERT INTO legal_holds (position, interview, access_key, name, email, reason,"
            " held_by, created_at) SELECT position, '', access_key, '', '', 'A lawsuit', 'B.',"
            " created_at FROM legal_holds",
            {},
        )
    holds = exported(api)["legal_holds"]
    assert [(one["covers"], one["reason"]) for one in holds] == [
        ("position", "A lawsuit"),
        ("interview", "Words hold"),
    ]


@pytest.mark.both_databases
def test_an_interview_and_its_scorecard_as_the_service_makes_them_are_as_the_schema_says(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api(works=True)
    put_position(api)
    hold(api, rehearsal, "I check the blood pressure first.", "I helped my colleague.")
    found = scored(api)
    api.post("/decide", {**ANA.fields, "decision": "selected", "reason": "R.", "reviewer": "B."})
    document = exported(api)
    (scorecard,) = document["scorecards"]
    assert scorecard["record"] == found["record"]
    assert scorecard["total"] == found["total"]
    assert [one["content"] for one in document["messages"]] == api.said()
    assert [one["decision"] for one in document["decisions"]] == ["selected"]


@pytest.mark.both_databases
@pytest.mark.parametrize("table", ["invitations", "consents", "other_ways"])
def test_who_has_no_interview_is_exported_as_well(api: Api, database: Database, table: str) -> None:
    store_person(database, ANA)
    with database.transaction() as session:
        for one in reversed(EXPORTED):
            if one.name not in (table, "positions", "rubrics", "notices"):
                session.execute(f"DELETE FROM {one.name}", {})
    document = exported(api)
    assert len(document[table]) == 1
    assert document["status"] == "uninitiated"
    assert document["messages"] == []


@pytest.mark.both_databases
def test_of_whom_nothing_is_kept_but_digests_there_is_nothing(api: Api, database: Database) -> None:
    store_person(database, ANA)
    with database.transaction() as session:
        for one in reversed(EXPORTED):
            if one.name not in ("erasures", "audit_events", "token_revocations"):
                session.execute(f"DELETE FROM {one.name}", {})
    for applicant in (ANA, MEI):
        for end in ("", "?format=zip"):
            answer = api.get(f"/export_interview/{applicant.path}{end}")
            assert (answer.status, set(answer.body)) == (404, {"error"})
    with database.reading() as session:
        rows = session.execute("SELECT action FROM audit_events", {}).fetchall()
    assert rows == [("interview.started",)]  # as nothing was exported


@pytest.mark.both_databases
def test_an_export_is_in_the_audit_trail_before_it_is_handed_out(
    make_api: Callable[..., Api], database: Database
) -> None:
    api = make_api(api_keys=(hash_of("a-key"),))
    store_person(database, ANA)
    headers = {"X-API-Key": "a-key"}
    api.send("GET", f"/export_interview/{ANA.path}", headers=headers)
    api.raw("GET", f"/export_interview/{ANA.path}?format=zip", headers=headers)
    with database.reading() as session:
        rows = session.execute(
            "SELECT actor, action, subject, detail FROM audit_events ORDER BY number", {}
        ).fetchall()
    actor = f"key {hash_of('a-key').hex()[:8]}"
    assert [(row[0], row[1], row[2], json.loads(row[3])) for row in rows[1:]] == [
        (actor, "interview.exported", key_of(ANA).digest(), {"format": "json"}),
        (actor, "interview.exported", key_of(ANA).digest(), {"format": "zip"}),
    ]


NAMES = (
    *("Ana María", "O'Brien", "a/b/c", "/", "//x", "Ana%20M", "%2F", "a+b", "x?y#z", "a;b", " "),
    *("<script>", '"; DROP TABLE messages; --', "żółw 🦊", "\u202eevil", "A" * 320, "../x"),
)


@pytest.mark.both_databases
@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_be_anything(api: Api, database: Database, name: str) -> None:
    applicant = ANA.named(name)
    store_person(database, applicant)
    document = exported(api, applicant)
    assert (document["name"], document["email"]) == (applicant.name, applicant.email)
    archive = files(api, applicant)
    assert list(archive) == [
        *("interview.json", "interview.html", "transcript.txt", "transcript.csv")
    ]
    assert held(json.loads(archive["interview.json"]))["name"] == name


# What is in the archive.


@pytest.fixture
def archive(api: Api, database: Database) -> dict[str, str]:
    store_position(database, ANA.access_key, HOSTILE)
    store_person(database, ANA.named(HOSTILE[:100]), HOSTILE)
    return files(api, ANA.named(HOSTILE[:100]))


def test_nothing_that_anybody_has_written_becomes_a_part_of_the_page(
    archive: dict[str, str],
) -> None:
    page = Html(archive["interview.html"])
    allowed = {
        *("html", "head", "meta", "title", "style", "body", "article", "nav", "ol", "li", "a"),
        *("h1", "h2", "h3", "p", "dl", "dt", "dd", "div", "table", "caption", "thead", "tbody"),
        *("tr", "th", "td", "span"),
    }
    assert {tag for tag, _ in page.elements} <= allowed
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "id", "scope", "href"),
        "aria-label",
    }
    links = [given["href"] or "" for tag, given in page.elements if tag == "a"]
    assert all(link.startswith("#interview-") for link in links)
    policy = next(given["content"] for _, given in page.elements if "http-equiv" in given)
    assert policy is not None
    assert "default-src 'none'" in policy
    # As words, all of it is there.
    for word in ("prompt", "answer", "note", "rationale", "q", "no", "reason", "decider", "hold"):
        assert f"{HOSTILE} {word}" in page.words
    assert HOSTILE[:100] in page.words
    assert f"{HOSTILE} notice 2" in page.words


def test_the_page_counts_reviews(archive: dict[str, str]) -> None:
    assert f"{HOSTILE} title: 5" in Html(archive["interview.html"]).words


def test_the_transcript_is_there_as_text(api: Api, database: Database) -> None:
    store_person(database, ANA)
    text = files(api)["transcript.txt"]
    assert text.startswith("Ana María <ana+jobs@example.com>, job-1\n\n[")
    for line in ("Prompt:\nWords prompt", "Applicant:\nWords answer", "applicant:\nWords note"):
        assert line in text


@pytest.mark.parametrize("words", ["=1+1", "@SUM(A1)", "-2", "\t=1", "a\n=1;=2", '"', "x,y"])
def test_no_cell_is_a_formula(api: Api, database: Database, words: str) -> None:
    store_person(database, ANA.named(words), words)
    rows = list(csv.reader(io.StringIO(files(api, ANA.named(words))["transcript.csv"])))
    assert rows[0] == ["name", "email", "id", "at", "who", "content", "notes"]
    assert len(rows) == 6
    for row in rows[1:]:
        for cell in row:
            assert not cell.lstrip().startswith(("=", "@", "-"))


def test_half_a_character_from_a_model_does_not_break_the_export(
    api: Api, database: Database
) -> None:
    store_person(database, ANA)
    record = json.dumps({"runs": [{"answer": "\ud83d and \0"}]})
    with database.transaction() as session:
        session.execute("UPDATE scorecards SET record = :record", {"record": record})
    answer: TestResponse = api.raw("GET", f"/export_interview/{ANA.path}")
    assert json.loads(answer.data)["scorecards"][0]["record"] == json.loads(record)
    assert json.loads(files(api)["interview.json"])["scorecards"][0]["record"] == json.loads(record)


def test_what_is_no_json_is_exported_as_it_is_stored(api: Api, database: Database) -> None:
    store_person(database, ANA)
    with database.transaction() as session:
        session.execute("UPDATE scorecards SET record = 'not JSON', scores = NULL", {})
        session.execute("UPDATE messages SET date_created = 'yesterday'", {})
    document = api.get(f"/export_interview/{ANA.path}").body
    assert document["scorecards"][0]["record"] == "not JSON"
    assert document["messages"][0]["created_at"] == "yesterday"


def test_a_number_in_the_place_of_a_time_is_exported(
    api: Api, database: Database, config: Config
) -> None:
    store_person(database, ANA)
    with sqlite3.connect(config.database_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE messages SET date_created = 20250406")
    connection.close()
    assert exported(api)["messages"][0]["created_at"] == "20250406"


@pytest.mark.parametrize(
    ("query", "accept", "mimetype"),
    [
        ("", "*/*", "application/json"),
        ("", "application/json", "application/json"),
        ("", "application/zip", "application/zip"),
        ("", "application/zip;q=0.5, application/json", "application/json"),
        ("", "text/html", "application/json"),
        ("?format=json", "application/zip", "application/json"),
        ("?format=zip", "application/json", "application/zip"),
    ],
)
def test_it_comes_as_it_is_asked_for(
    api: Api, database: Database, query: str, accept: str, mimetype: str
) -> None:
    store_person(database, ANA)
    answer = api.raw("GET", f"/export_interview/{ANA.path}{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    disposition = f'attachment; filename="interview-{key_of(ANA).digest()[:8]}.zip"'
    expected = disposition if mimetype == "application/zip" else None
    assert answer.headers.get("Content-Disposition") == expected


@pytest.mark.parametrize("wanted", ["", "xml", "ZIP", "ndjson"])
def test_a_format_that_there_is_not_is_400(api: Api, database: Database, wanted: str) -> None:
    store_person(database, ANA)
    answer = api.get(f"/export_interview/{ANA.path}?format={wanted}")
    assert (answer.status, answer.body) == (400, {"error": "format must be json or zip."})


@pytest.mark.parametrize("part", ["a\0b", "\ufffd"])
def test_a_path_that_can_name_nobody_is_400(api: Api, part: str) -> None:
    answer = api.get(f"/export_interview/job-1/{quote(part, safe='')}/e")
    assert answer.status == 400


def test_the_schema_refuses_what_it_does_not_name(api: Api, database: Database) -> None:
    store_person(database, ANA)
    document: dict[str, Any] = exported(api)
    for place in (document, document["messages"][0], document["scorecards"][0]):
        place["unknown"] = 1
        assert not schema().is_valid(document)
        del place["unknown"]
    assert schema().is_valid(document)


def test_what_makes_exports_is_loaded_with_the_first_one(tmp_path: Path) -> None:
    program = """
import sys
from app import app
client = app.test_client()
assert client.get("/export_interview/a/b/c?format=xml").status_code == 400
print(sorted(name for name in sys.modules if name.startswith("records.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=APP_FOLDER,
        env={
            "OPENAI_API_KEY": "any",
            "DATABASE_URL": f"sqlite:///{tmp_path}/messages.db",
            **NO_AUTHORITIES,
        },
        capture_output=True,
        check=True,
        text=True,
    )
    loaded = ast.literal_eval(done.stdout.splitlines()[-1])
    assert [name for name in loaded if "exporting." in name] == ["records.exporting.endpoints"]
    assert not [name for name in loaded if "impact" in name or "standalone" in name]
