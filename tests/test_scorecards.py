"""Scorecards as recruiters read and compare them, and who may."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from access.api_keys import hash_of
from api import ANA, Api, Applicant
from app import create_app
from config import Config
from db import Database, InterviewKey, Messages, open_database
from openai_api.rehearsal import Rehearsal
from scored import store_scorecard
from web.service import service

Json = Any
KEY = "a-recruiters-key"

GOOD = {"judgement": (4, 4, 4), "teamwork": (5, 5, 5)}
WEAK = {"judgement": (2, 2, 2), "teamwork": (1, 1, 1)}
SILENT: dict[str, tuple[int | None, ...]] = {
    "judgement": (None, None, None),
    "teamwork": (None, None, None),
}


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def start(database: Database, applicant: Applicant) -> None:
    interview = InterviewKey(applicant.access_key, applicant.name, applicant.email)
    with database.transaction(interview) as session:
        messages = Messages(session)
        messages.append(interview, "system", "The prompt.")
        messages.append(interview, "system", "Hello.")


def rows(api: Api) -> list[Json]:
    answer = api.get(f"/get_scorecards/{ANA.access_key}")
    assert answer.status == 200
    found: list[Json] = answer.body["scorecards"]
    return found


def table(api: Api) -> list[dict[str, str]]:
    answer = api.raw("GET", f"/get_scorecards/{ANA.access_key}", headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="scorecards.csv"'
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))


@pytest.mark.both_databases
def test_the_comparison_has_a_row_for_each_applicant_the_best_first(
    api: Api, database: Database
) -> None:
    for name in ("Zoë", "Ana", "Mei", "Silent", "Nobody", "Also Ana"):
        start(database, ANA.named(name))
    weak = store_scorecard(database, ANA.named("Zoë"), WEAK, total=1.5)
    store_scorecard(database, ANA.named("Mei"), GOOD, total=4.5)
    store_scorecard(database, ANA.named("Ana"), GOOD, total=4.5)
    store_scorecard(database, ANA.named("Silent"), SILENT)
    found = rows(api)
    assert [row["name"] for row in found] == ["Ana", "Mei", "Zoë", "Also Ana", "Nobody", "Silent"]
    assert found[2] == {
        "name": "Zoë",
        "email": ANA.email,
        "scorecard_id": weak,
        "state": "scored",
        "pending": False,
        "total": 1.5,
        "coverage": 1.0,
        "scores": {"judgement": 2, "teamwork": 1},
        "rubric_version": 1,
    }
    assert found[3]["state"] == "unscored"
    assert (found[3]["scorecard_id"], found[3]["total"], found[3]["scores"]) == (None, None, {})
    assert found[5]["scores"] == {"judgement": None, "teamwork": None}


def test_under_an_access_key_without_interviews_there_are_no_rows(api: Api) -> None:
    assert rows(api) == []
    assert table(api) == []


def test_only_applicants_of_the_access_key_are_compared(api: Api, database: Database) -> None:
    other = Applicant(access_key="job-2")
    for applicant in (ANA, other):
        start(database, applicant)
        store_scorecard(database, applicant, GOOD, total=4.5)
    (row,) = rows(api)
    assert row["name"] == ANA.name


@pytest.mark.both_databases
def test_the_newest_scorecard_with_a_result_is_compared(
    make_api: Callable[..., Api], rehearsal: Rehearsal, database: Database
) -> None:
    api = make_api()
    start(database, ANA)
    store_scorecard(database, ANA, WEAK, total=1.5)
    newer = store_scorecard(database, ANA, GOOD, total=4.5, rubric_version=2)
    (row,) = rows(api)
    assert (row["scorecard_id"], row["total"], row["rubric_version"]) == (newer, 4.5, 2)


@pytest.mark.both_databases
def test_the_comparison_is_exported_as_csv(api: Api, database: Database) -> None:
    for name in ("Ana", "Nobody"):
        start(database, ANA.named(name))
    known = store_scorecard(
        database, ANA.named("Ana"), {"judgement": (4, 4, 4), "teamwork": (1, 3, 5)}, total=4
    )
    first, second = table(api)
    assert first == {
        "name": "Ana",
        "email": ANA.email,
        "scorecard_id": known,
        "state": "needs_review",
        "pending": "false",
        "total": "4.0",
        "coverage": "1.0",
        "rubric_version": "1",
        "score_judgement": "4",
        "score_teamwork": "",
    }
    assert (second["state"], second["total"], second["score_judgement"]) == ("unscored", "", "")


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://x","y")',
        "+1",
        "-1",
        "@SUM(A1)",
        "\tAna",
        "  =1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
    ],
)
def test_no_cell_of_the_csv_is_a_formula(api: Api, database: Database, name: str) -> None:
    start(database, ANA.named(name))
    (row,) = table(api)
    assert row["name"] == f"'{name}"


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("Ana;=1+1", "Ana;'=1+1"),
        ("Ana;\t@x;+1", "Ana;'\t'@x;'+1"),
        ("Ana\r\n =1", "Ana\r'\n' =1"),
        ("\t=1", "'\t'=1"),
    ],
)
def test_no_part_of_a_cell_is_a_formula_where_other_signs_set_cells_apart(
    api: Api, database: Database, name: str, cell: str
) -> None:
    start(database, ANA.named(name))
    (row,) = table(api)
    assert row["name"] == cell


@pytest.mark.parametrize(
    "name", ['Ana "Anita" María', "María, Ana", "Ana\r\nMaría", "O'Brien", "李 娜", "Ana=María"]
)
def test_any_other_name_is_in_the_csv_as_it_is(api: Api, database: Database, name: str) -> None:
    start(database, ANA.named(name))
    (row,) = table(api)
    assert row["name"] == name


def test_the_csv_has_a_column_for_each_criterion_of_any_version(
    api: Api, database: Database
) -> None:
    for name in ("Ana", "Mei"):
        start(database, ANA.named(name))
    store_scorecard(database, ANA.named("Ana"), {"name": (4, 4, 4)}, total=4)
    store_scorecard(database, ANA.named("Mei"), {"judgement": (5, 5, 5)}, total=5)
    mei, ana = table(api)
    assert (mei["score_judgement"], mei["score_name"]) == ("5", "")
    assert (ana["name"], ana["score_name"], ana["score_judgement"]) == ("Ana", "4", "")


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("image/png", "application/json"),
    ],
)
def test_csv_is_for_those_who_ask_for_it(api: Api, accept: str, mimetype: str) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = api.raw("GET", f"/get_scorecards/{ANA.access_key}", headers=headers)
    assert answer.mimetype == mimetype
    assert "Accept" in answer.headers["Vary"]


@pytest.mark.parametrize("scorecard_id", ["0" * 32, "", "x", "%00", "%ff", "A" * 32, "0" * 5000])
@pytest.mark.both_databases
def test_an_id_that_is_none_is_not_found(api: Api, database: Database, scorecard_id: str) -> None:
    store_scorecard(database, ANA, GOOD, total=4.5)
    answer = api.get(f"/get_scorecard/{ANA.path}?id={scorecard_id}")
    assert (answer.status, answer.body) == (404, {"error": "The interview has no such scorecard."})


def test_without_an_id_the_newest_is_read_and_an_older_one_by_its_own(
    api: Api, database: Database
) -> None:
    older = store_scorecard(database, ANA, WEAK, total=1.5)
    newer = store_scorecard(database, ANA, GOOD, total=4.5)
    assert api.get(f"/get_scorecard/{ANA.path}").body["scorecard"]["id"] == newer
    found = api.get(f"/get_scorecard/{ANA.path}?id={older}").body["scorecard"]
    assert (found["id"], found["total"]) == (older, 1.5)


def test_an_applicants_token_opens_nothing_of_it(
    config: Config, database: Database, rehearsal: Rehearsal
) -> None:
    start(database, ANA)
    known = store_scorecard(database, ANA, GOOD, total=4.5)
    secured = Config(**{**vars(config), "api_keys": (hash_of(KEY),), "secret_key": ("s" * 32,)})
    app = create_app(secured)
    client = app.test_client()
    issued = client.post("/applicant_token", json=ANA.fields, headers={"X-API-Key": KEY})
    token = {"Authorization": f"Bearer {issued.get_json()['token']}"}
    review = {**ANA.fields, "id": known, "criterion": "judgement", "score": 5, "reason": "x"}
    calls: list[tuple[str, str, Json]] = [
        ("POST", "/score_interview", ANA.fields),
        ("GET", f"/get_scorecard/{ANA.path}", None),
        ("GET", f"/get_scorecard/{ANA.path}?id={known}", None),
        ("GET", f"/get_scorecards/{ANA.access_key}", None),
        ("POST", "/review_scorecard", {**review, "reviewer": "Ana"}),
    ]
    for method, path, body in calls:
        assert client.open(path, method=method, json=body).status_code == 401
        assert client.open(path, method=method, json=body, headers=token).status_code == 403
    service(app).close()


@pytest.mark.both_databases
def test_ten_thousand_applicants_are_compared(api: Api, database: Database) -> None:
    count = 10_000
    with database.transaction() as session:
        for number in range(count):
            session.execute(
                "INSERT INTO messages"
                " (content, date_created, role, access_key, name, email, is_finished)"
                " VALUES ('Hello', :now, 'system', :access_key, :name, :email, 1)",
                {
                    "now": "2026-11-24 12:00:00.000000",
                    "access_key": ANA.access_key,
                    "name": f"Applicant {number}",
                    "email": f"{number}@example.com",
                },
            )
    for number in range(100):
        applicant = Applicant(ANA.access_key, f"Applicant {number}", f"{number}@example.com")
        store_scorecard(database, applicant, GOOD, total=1 + number / 25)
    found = rows(api)
    assert len(found) == count
    totals = [row["total"] for row in found]
    assert totals[:100] == sorted(totals[:100], reverse=True)
    assert totals[100:] == [None] * (count - 100)
    assert len(table(api)) == count
