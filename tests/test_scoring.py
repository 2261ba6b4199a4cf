"""From a finished interview to its scorecard: asked for, made once, whatever happens meanwhile."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api import ANA, PROMPT, Api
from config import Config, Model
from db import open_database
from openai_api.rehearsal import FAULTS, Behaviour, Rehearsal
from scored import (
    RUBRIC,
    criterion,
    finished,
    hold,
    put_position,
    request_scorecard,
    scorecard,
    scored,
)

Json = Any

SAID = (
    "I check the patient's blood pressure before I give any of the medicine.",
    "When my colleague was overwhelmed, I took over two of her patients for the night.",
)


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """The API in a process that works, with a position."""
    api = make_api(works=True)
    put_position(api)
    return api


def ratings(rehearsal: Rehearsal) -> list[Json]:
    """The requests for ratings that the model has got."""
    return [request for request in rehearsal.requests if "response_format" in request]


@pytest.mark.both_databases
def test_a_finished_interview_gets_a_scorecard(api: Api, rehearsal: Rehearsal) -> None:
    messages = hold(api, rehearsal, *SAID)
    asked = api.post("/score_interview", ANA.fields)
    assert asked.status == 202
    assert asked.body["status"] == "pending"
    found = finished(api, ANA, asked.body["scorecard_id"])
    assert (found["state"], found["reason"]) == ("scored", None)
    assert (found["rubric_version"], found["coverage"]) == (1, 1.0)
    assert [one["id"] for one in found["criteria"]] == ["judgement", "teamwork"]
    scores = [one["score"] for one in found["criteria"]]
    assert found["total"] == sum(scores) / 2
    said = {message["id"] for message in messages if message["role"] == "user"}
    for one in found["criteria"]:
        assert one["runs"] == [one["score"]] * 3
        assert {evidence["message_id"] for evidence in one["evidence"]} <= said
        assert one["evidence"]
    assert (found["flags"], found["rejected_evidence"], found["reviews"]) == ([], [], [])
    assert len(ratings(rehearsal)) == 6

    again = api.post("/score_interview", ANA.fields)
    assert again.status == 200
    assert again.body == {"status": "success", "scorecard": found}
    assert len(ratings(rehearsal)) == 6


@pytest.mark.both_databases
def test_the_record_says_all_that_it_is_made_from(api: Api, rehearsal: Rehearsal) -> None:
    hold(api, rehearsal, *SAID)
    record = scored(api)["record"]
    assert record["rubric"]["version"] == 1
    assert len(record["rubric"]["sha256"]) == 64
    assert [one["id"] for one in record["rubric"]["body"]["criteria"]] == ["judgement", "teamwork"]
    assert len(record["transcript_sha256"]) == 64
    assert record["scorer"]["models"][0] == "gpt-4o-mini"
    assert record["scorer"]["runs"] == 3
    assert len(record["scorer"]["prompt_sha256"]) == 64
    assert [(run["criterion"], run["is_masked"], run["run"]) for run in record["runs"]] == [
        (one, False, number) for one in ("judgement", "teamwork") for number in (1, 2, 3)
    ]
    for run in record["runs"]:
        assert run["model_asked"] == run["model_answered"] == "gpt-4o-mini"
        assert run["response_id"] == "chatcmpl-rehearsal"
        assert run["finish_reason"] == "stop"
        assert run["tokens_in"] > 0
        assert run["seconds"] >= 0
        assert json.loads(run["answer"]).keys() == {"evidence", "rationale", "score"}


@pytest.mark.both_databases
def test_the_model_learns_neither_who_it_is_nor_what_the_recruiter_wrote(
    api: Api, rehearsal: Rehearsal
) -> None:
    said = f"My name is {ANA.name}, write to {ANA.email}. {SAID[0]}"
    hold(api, rehearsal, said, SAID[1])
    found = scored(api)
    for request in ratings(rehearsal):
        text = json.dumps(request, ensure_ascii=False)
        for secret in (ANA.name, "María", ANA.email, ANA.access_key, PROMPT, "interview a nurse"):
            assert secret not in text
        assert "temperature" not in request
    # Each request names one criterion, and no other score.
    for one, other in (("judgement", "teamwork"), ("teamwork", "judgement")):
        about = [r for r in ratings(rehearsal) if f"All of {one}" in json.dumps(r)]
        assert len(about) == 3
        assert all(f"All of {other}" not in json.dumps(r) for r in about)
    assert found["state"] == "scored"


def test_again_makes_a_further_one_and_replaces_none(api: Api, rehearsal: Rehearsal) -> None:
    hold(api, rehearsal, *SAID)
    first = scored(api)
    second = scored(api, again=True)
    assert first["id"] != second["id"]
    assert scorecard(api, ANA, first["id"]) == first
    assert scorecard(api)["id"] == second["id"]
    assert api.post("/score_interview", {**ANA.fields, "again": False}).status == 200


@pytest.mark.both_databases
def test_of_many_requests_at_once_one_makes_the_scorecard(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    apis = [make_api(), make_api()]  # that do not work
    put_position(apis[0])
    hold(apis[0], rehearsal, *SAID)

    def ask(number: int) -> str:
        return request_scorecard(apis[number % 2], again=number % 3 == 0)

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(ask, range(24)))) == 1
    assert scorecard(apis[0])["state"] == "pending"
    found = finished(make_api(works=True))
    assert found["state"] == "scored"
    assert len(ratings(rehearsal)) == 6


@pytest.mark.both_databases
def test_a_pending_scorecard_has_no_result_yet(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api()
    put_position(api)
    hold(api, rehearsal, *SAID)
    known = request_scorecard(api)
    found = scorecard(api)
    assert (found["id"], found["state"], found["finished_at"]) == (known, "pending", None)
    assert (found["total"], found["coverage"], found["criteria"]) == (None, None, [])
    assert found["record"]["runs"] == []
    review = {
        **ANA.fields,
        "id": known,
        "criterion": "judgement",
        "score": 5,
        "reason": "r",
        "reviewer": "B",
    }
    assert api.post("/review_scorecard", review).status == 409
    (row,) = api.get(f"/get_scorecards/{ANA.access_key}").body["scorecards"]
    assert (row["state"], row["pending"], row["total"]) == ("pending", True, None)


def test_what_cannot_be_scored_is_refused_with_its_reason(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api()

    def refusal() -> tuple[int, str]:
        answer = api.post("/score_interview", ANA.fields)
        return answer.status, answer.body["error"]

    assert refusal() == (404, "There is no such interview.")
    assert api.start().status == 200
    assert refusal()[0] == 404
    assert "no position" in refusal()[1]
    put_position(api, rubric=None)
    assert refusal() == (404, "The position has no rubric to rate by.")
    put_position(api)
    assert refusal()[0] == 409
    assert api.get(f"/get_scorecard/{ANA.path}").status == 404


@pytest.mark.parametrize("again", ["yes", 1, None, []])
def test_again_is_true_or_false(make_api: Callable[..., Api], again: object) -> None:
    answer = make_api().post("/score_interview", {**ANA.fields, "again": again})
    assert (answer.status, answer.body) == (400, {"error": "again must be true or false."})


@pytest.mark.both_databases
def test_a_changed_rubric_makes_a_new_scorecard_and_leaves_the_old_one(
    api: Api, rehearsal: Rehearsal
) -> None:
    hold(api, rehearsal, *SAID)
    old = scored(api)
    put_position(api, rubric={**RUBRIC, "criteria": [criterion("calm")]})
    assert scorecard(api) == old
    new = scored(api)
    assert (old["rubric_version"], new["rubric_version"]) == (1, 2)
    assert [one["id"] for one in new["criteria"]] == ["calm"]
    assert scorecard(api, ANA, old["id"]) == old


def test_another_scorer_makes_a_new_scorecard(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api(works=True)
    put_position(api)
    hold(api, rehearsal, *SAID)
    scored(api)
    for settings in (
        {"scoring_runs": 1},
        {"scoring_model": (Model("gpt-6-luna", {"reasoning_effort": "none"}),)},
    ):
        other = make_api(works=True, **settings)
        found = scored(other)
        assert found["state"] == "scored"
    assert ratings(rehearsal)[-1]["model"] == "gpt-6-luna"
    assert ratings(rehearsal)[-1]["reasoning_effort"] == "none"
    assert api.post("/score_interview", ANA.fields).status == 200


@pytest.mark.both_databases
def test_a_position_may_have_its_interviews_scored_by_themselves(
    api: Api, rehearsal: Rehearsal
) -> None:
    put_position(api, scoring="automatic")
    hold(api, rehearsal, *SAID)
    found = finished(api)
    assert found["state"] == "scored"
    answer = api.post("/score_interview", ANA.fields)
    assert (answer.status, answer.body["scorecard"]["id"]) == (200, found["id"])


def test_without_a_rubric_or_a_wish_nothing_is_scored_by_itself(
    api: Api, rehearsal: Rehearsal
) -> None:
    hold(api, rehearsal, *SAID)
    mei = ANA.named("Mei")
    put_position(api, rubric=None, scoring="automatic")
    hold(api, rehearsal, *SAID, applicant=mei)
    for applicant in (ANA, mei):
        assert api.get(f"/get_scorecard/{applicant.path}").status == 404


@pytest.mark.parametrize(
    "fault",
    ["score_6", "score_as_text", "fractional_score", "missing_key", "extra_key", "key_twice",
     "not_json", "fenced", "refusal", "cut_off", "filtered", "half_character",
     "nul", "blank", "torn", "overloaded", "broken_json"],
)  # fmt: skip
def test_an_answer_that_is_no_rating_is_asked_for_again(
    api: Api, rehearsal: Rehearsal, fault: str
) -> None:
    hold(api, rehearsal, *SAID)
    rehearsal.misbehave(fault)
    found = scored(api)
    assert (found["state"], found["reason"]) == ("scored", None)
    assert [one["runs"] for one in found["criteria"]] == [
        [one["score"]] * 3 for one in found["criteria"]
    ]


@pytest.mark.both_databases
def test_a_model_that_gives_no_rating_makes_a_scorecard_that_has_failed_whole(
    api: Api, rehearsal: Rehearsal
) -> None:
    hold(api, rehearsal, *SAID)
    rehearsal.default = FAULTS["score_6"]
    found = scored(api)
    assert found["state"] == "failed"
    assert "score" in found["reason"]
    assert (found["total"], found["coverage"], found["criteria"]) == (None, None, [])
    for secret in (*ANA.fields.values(), *SAID):
        assert secret not in found["reason"]
    (row,) = api.get(f"/get_scorecards/{ANA.access_key}").body["scorecards"]
    assert (row["state"], row["pending"]) == ("failed", False)

    rehearsal.default = Behaviour()
    new = scored(api)
    assert (new["state"], new["id"] != found["id"]) == ("scored", True)
    assert scorecard(api, ANA, found["id"]) == found


def test_what_a_provider_says_of_a_bad_request_is_not_shown(
    api: Api, rehearsal: Rehearsal, config: Config
) -> None:
    hold(api, rehearsal, *SAID)
    # The rehearsal's errors quote the key and the last message.
    rehearsal.default = Behaviour(status=400, error=("invalid_request_error", None))
    found = scored(api)
    assert found["state"] == "failed"
    told = json.dumps(found)
    assert config.openai_api_key not in told
    assert "no good" not in told


@pytest.mark.both_databases
def test_a_transcript_that_has_changed_is_not_rated(
    make_api: Callable[..., Api], config: Config, rehearsal: Rehearsal
) -> None:
    api = make_api()
    put_position(api)
    hold(api, rehearsal, *SAID)
    request_scorecard(api)
    rehearsal.requests.clear()
    database = open_database(config)
    with database.transaction() as session:
        session.execute("UPDATE messages SET content = 'Erased.' WHERE role = 'user'", {})
    database.close()
    found = finished(make_api(works=True))
    assert (found["state"], found["criteria"]) == ("failed", [])
    assert "transcript has changed" in found["reason"]
    assert not rehearsal.requests
