"""Requests for another way: an applicant asks for a person in place of the interview."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import ANA, Api
from config import Config
from recruiting import put
from rights import ask, digest, events, in_database

MakeApi = Callable[..., Api]


@pytest.mark.both_databases
def test_it_can_be_asked_for_before_and_during_an_interview_and_counts_once(
    api: Api, config: Config
) -> None:
    put(api)
    first = ask(api)
    assert first.status == 200
    assert set(first.body) == {"status", "asked_at"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.body["asked_at"])
    in_database(config, "UPDATE other_ways SET asked_at = :at", at="2026-01-02 03:04:05.000000")
    assert ask(api).body["asked_at"] == "2026-01-02T03:04:05Z"
    mei = ANA.named("Mei")
    assert api.start(mei).status == 200
    assert ask(api, mei).status == 200
    assert api.reply("I go on all the same", mei).status == 200
    assert events(config, "another_way.asked") == [(digest(ANA), ""), (digest(mei), "")]


@pytest.mark.both_databases
def test_of_many_at_once_one_is_stored(api: Api, make_api: MakeApi, config: Config) -> None:
    put(api)
    apis = [api, make_api()]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask(apis[number % 2]), range(16)))
    assert {answer.status for answer in answers} == {200}
    assert in_database(config, "SELECT COUNT(*) FROM other_ways") == [(1,)]


@pytest.mark.both_databases
def test_where_nobody_would_see_it_it_is_refused(api: Api) -> None:
    answer = ask(api)
    assert answer.status == 404
    assert "neither a position" in answer.body["error"]
    assert api.start().status == 200  # without a position
    assert ask(api).status == 200


@pytest.mark.both_databases
def test_who_has_asked_can_be_decided_about(api: Api) -> None:
    put(api)
    body = {**ANA.fields, "decision": "selected", "reason": "We have met.", "reviewer": "B."}
    assert api.post("/decide", body).status == 404
    assert ask(api).status == 200
    assert api.post("/decide", body).status == 200


def test_it_needs_an_applicant(api: Api) -> None:
    put(api)
    for field in ANA.fields:
        answer = api.post("/another_way", {**ANA.fields, field: " "})
        assert answer.status == 400
