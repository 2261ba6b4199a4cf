"""Reviews: a person's word counts, the machine's stays beside it, and nothing is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api import ANA, Answer, Api
from config import Config
from db import Database, open_database
from scored import RUBRIC, criterion, store_scorecard

Json = Any


@pytest.fixture
def database(config: Config) -> Iterator[Database]:
    database = open_database(config)
    yield database
    database.close()


def review(api: Api, scorecard_id: str, score: object, **fields: object) -> Answer:
    return api.post(
        "/review_scorecard",
        {
            **ANA.fields,
            "id": scorecard_id,
            "criterion": "judgement",
            "score": score,
            "reason": "She names the check.",
            "reviewer": "B. Okafor",
            **fields,
        },
    )


def by_id(scorecard: Json, criterion_id: str) -> Json:
    return next(one for one in scorecard["criteria"] if one["id"] == criterion_id)


@pytest.mark.both_databases
def test_a_person_overrules_a_score_and_the_total_follows(api: Api, database: Database) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    answer = review(api, known, 5)
    assert answer.status == 200
    found = answer.body["scorecard"]
    judged = by_id(found, "judgement")
    assert (judged["score"], judged["machine_score"], judged["runs"]) == (5, 4, [4, 4, 4])
    assert (found["total"], found["coverage"], found["state"]) == (3.5, 1.0, "scored")
    (kept,) = found["reviews"]
    assert kept == {
        "created_at": kept["created_at"],
        "criterion": "judgement",
        "score": 5,
        "reason": "She names the check.",
        "reviewer": "B. Okafor",
    }
    assert api.get(f"/get_scorecard/{ANA.path}").body["scorecard"] == found


@pytest.mark.both_databases
def test_of_several_reviews_the_newest_counts_and_all_are_kept(
    api: Api, database: Database
) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    for score in (5, 1, 3):
        found = review(api, known, score, reviewer=f"Reviewer {score}").body["scorecard"]
    assert by_id(found, "judgement")["score"] == 3
    assert found["total"] == 2.5
    assert [one["score"] for one in found["reviews"]] == [5, 1, 3]
    assert [one["reviewer"] for one in found["reviews"]] == [
        "Reviewer 5",
        "Reviewer 1",
        "Reviewer 3",
    ]


@pytest.mark.both_databases
def test_a_scorecard_is_scored_once_each_open_criterion_has_a_review(
    api: Api, database: Database
) -> None:
    runs = {"judgement": (1, 3, 5), "teamwork": (2, 4, 5)}
    known = store_scorecard(database, ANA, runs)
    found = api.get(f"/get_scorecard/{ANA.path}").body["scorecard"]
    assert found["state"] == "needs_review"
    assert by_id(found, "judgement")["score"] is None
    assert by_id(found, "judgement")["machine_score"] == 3

    found = review(api, known, 3).body["scorecard"]
    assert (found["state"], found["total"], found["coverage"]) == ("needs_review", None, 0.5)
    assert by_id(found, "judgement")["state"] == "scored"
    assert by_id(found, "judgement")["machine_state"] == "needs_review"

    found = review(api, known, 4, criterion="teamwork").body["scorecard"]
    assert (found["state"], found["total"], found["coverage"]) == ("scored", 3.5, 1.0)


@pytest.mark.both_databases
def test_a_person_may_say_that_there_is_too_little_to_go_by(api: Api, database: Database) -> None:
    runs = {"judgement": (4, 4, 4), "teamwork": (1, 3, 5)}
    known = store_scorecard(database, ANA, runs, total=4)
    found = review(api, known, None, criterion="teamwork").body["scorecard"]
    teamwork = by_id(found, "teamwork")
    assert (teamwork["state"], teamwork["score"]) == ("insufficient_evidence", None)
    assert (found["state"], found["total"], found["coverage"]) == ("scored", None, 0.5)


@pytest.mark.both_databases
def test_of_reviews_at_once_none_is_lost(make_api: Callable[..., Api], database: Database) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    apis = [make_api(), make_api()]
    scores = [1 + number % 5 for number in range(20)]

    def send(number: int) -> int:
        return review(apis[number % 2], known, scores[number]).status

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(send, range(len(scores)))) == [200] * len(scores)
    found = apis[0].get(f"/get_scorecard/{ANA.path}").body["scorecard"]
    assert sorted(one["score"] for one in found["reviews"]) == sorted(scores)
    assert found["total"] == (found["reviews"][-1]["score"] + 2) / 2


def test_weights_and_the_least_coverage_are_those_of_the_scorecards_rubric(
    api: Api, database: Database
) -> None:
    rubric = {
        **RUBRIC,
        "criteria": [criterion("judgement", 3), criterion("teamwork", 1)],
        "minCoverage": 0.75,
        "weightsRationale": "Nurses decide alone at night.",
    }
    runs = {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}
    known = store_scorecard(database, ANA, runs, total=3.5, rubric=rubric)
    assert review(api, known, 5).body["scorecard"]["total"] == 4.25
    found = review(api, known, None, criterion="teamwork").body["scorecard"]
    assert (found["total"], found["coverage"]) == (5, 0.75)
    assert review(api, known, None).body["scorecard"]["total"] is None


def test_the_comparison_shows_what_counts(api: Api, database: Database) -> None:
    assert api.start().status == 200
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    assert review(api, known, 5).status == 200
    (row,) = api.get(f"/get_scorecards/{ANA.access_key}").body["scorecards"]
    assert (row["total"], row["scores"]) == (3.5, {"judgement": 5, "teamwork": 2})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"score": 0}, "score"),
        ({"score": 6}, "score"),
        ({"score": 3.5}, "score"),
        ({"score": True}, "score"),
        ({"score": "3"}, "score"),
        ({"reason": " "}, "reason must not be blank."),
        ({"reason": "x" * 2001}, "reason must not be longer than 2000 characters."),
        ({"reason": "\ud800"}, "reason"),
        ({"reason": "\0"}, "reason must not hold NUL."),
        ({"reviewer": ""}, "reviewer must not be blank."),
        ({"reviewer": None}, "reviewer must be a string."),
        ({"criterion": "elsewhere"}, "criterion must be the id"),
        ({"criterion": ["judgement"]}, "criterion must be a string."),
        ({"id": 5}, "id must be a string."),
        ({"name": ""}, "incomplete params"),
    ],
)
def test_a_review_that_cannot_be_read_is_refused(
    api: Api, database: Database, fields: Json, sentence: str
) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    answer = review(api, known, fields.pop("score", 3), **fields)
    assert answer.status == 400
    assert sentence in answer.body["error"]
    assert api.get(f"/get_scorecard/{ANA.path}").body["scorecard"]["reviews"] == []


def test_a_whole_number_may_be_written_with_a_point(api: Api, database: Database) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    answer = review(api, known, 5.0)
    assert answer.status == 200
    assert by_id(answer.body["scorecard"], "judgement")["score"] == 5


@pytest.mark.parametrize("field", ["id", "criterion", "score", "reason", "reviewer"])
def test_every_field_is_needed(api: Api, database: Database, field: str) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    body = {
        **ANA.fields,
        "id": known,
        "criterion": "judgement",
        "score": 3,
        "reason": "A reason",
        "reviewer": "B. Okafor",
    }
    del body[field]
    answer = api.post("/review_scorecard", body)
    assert (answer.status, answer.body) == (400, {"error": f"{field} is missing."})


def test_a_scorecard_is_found_under_its_own_interview_only(api: Api, database: Database) -> None:
    known = store_scorecard(database, ANA, {"judgement": (4, 4, 4), "teamwork": (2, 2, 2)}, total=3)
    mei = ANA.named("Mei")
    for scorecard_id in ("0" * 32, "", "x" * 32):
        assert review(api, scorecard_id, 3).status == 404
    assert review(api, known, 3, **mei.fields).status == 404
    assert api.get(f"/get_scorecard/{mei.path}?id={known}").status == 404
    assert api.get(f"/get_scorecard/{ANA.path}?id={known}").status == 200
