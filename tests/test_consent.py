"""Consent: which version an applicant has accepted, and the start that waits for it."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api import ANA, PROMPT, Api, Applicant
from config import Config
from openai_api.rehearsal import Rehearsal
from recruiting import put
from rights import consent, digest, events, in_database, notice

MakeApi = Callable[..., Api]
OWN = {"text": "An AI asks.", "language": "en"}
MEI = ANA.named("Mei")


def start(api: Api, applicant: Applicant = ANA, key: str = "") -> Any:
    return api.post("/start_interview", applicant.fields, key)


@pytest.mark.both_databases
def test_a_consent_is_stored_once_with_its_time(api: Api, config: Config) -> None:
    put(api, notice=OWN)
    answer = consent(api, 1)
    assert answer.status == 200
    assert answer.body["status"] == "success"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.body["accepted_at"])
    in_database(config, "UPDATE consents SET accepted_at = :at", at="2026-01-02 03:04:05.000000")
    again = consent(api, 1.0)
    assert again.body["accepted_at"] == "2026-01-02T03:04:05Z"
    assert in_database(config, "SELECT interview, version, name FROM consents") == [
        (digest(ANA), 1, ANA.name)
    ]
    assert events(config, "consent.given") == [(digest(ANA), '{"version": 1}')]


@pytest.mark.both_databases
def test_the_same_consent_at_once_is_one(api: Api, make_api: MakeApi, config: Config) -> None:
    put(api)
    apis = [api, make_api()]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: consent(apis[number % 2], 1), range(16)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["accepted_at"] for answer in answers}) == 1
    assert in_database(config, "SELECT COUNT(*) FROM consents") == [(1,)]
    assert len(events(config, "consent.given")) == 1


@pytest.mark.both_databases
def test_a_version_that_there_is_not_and_one_that_was_replaced_are_refused(api: Api) -> None:
    assert consent(api, 1).status == 404  # there is no position
    put(api)
    answer = consent(api, 2)
    assert (answer.status, answer.body["error"]) == (
        404,
        "The position's notice has no such version.",
    )
    assert consent(api, 1).status == 200
    put(api, notice=OWN)
    answer = consent(api, 1, MEI)
    assert answer.status == 409
    assert "newer version" in answer.body["error"]
    assert consent(api, 1).status == 200  # as Ana has accepted it when it was shown
    assert consent(api, 2).status == consent(api, 2, MEI).status == 200


@pytest.mark.parametrize("version", [None, "1", 0, -1, 1.5, True, 2**31, [1]])
def test_a_version_that_is_none_is_refused(api: Api, version: Any) -> None:
    put(api)
    answer = consent(api, version)
    assert answer.status == 400
    assert answer.body["error"].startswith("version must be")
    assert api.post("/consent", ANA.fields).status == 400


@pytest.mark.both_databases
def test_a_position_that_asks_for_consent_starts_no_interview_without(
    api: Api, rehearsal: Rehearsal
) -> None:
    put(api, consentRequired=True)
    for body in (ANA.fields, {**ANA.fields, "prompt": PROMPT}):
        answer = api.post("/start_interview", body)
        assert answer.status == 409
        assert answer.body["reason"] == "consent_missing"
        assert "has not accepted the position's current notice" in answer.body["error"]
    streamed = api.raw(
        "POST", "/start_interview", json=ANA.fields, headers={"Accept": "text/event-stream"}
    )
    assert streamed.status_code == 409
    assert not rehearsal.requests
    assert api.messages() == []
    assert consent(api, 1, MEI).status == 200
    assert start(api).status == 409
    assert consent(api, 1).status == 200
    assert start(api).status == 200


@pytest.mark.both_databases
def test_the_consent_must_be_to_the_notice_of_now(api: Api) -> None:
    put(api, consentRequired=True)
    assert consent(api, 1).status == 200
    put(api, consentRequired=True, notice=OWN)
    assert start(api).status == 409
    put(api, notice=OWN)
    assert start(api).status == 200


@pytest.mark.both_databases
def test_a_new_notice_stops_no_interview_that_has_begun(api: Api) -> None:
    put(api, consentRequired=True)
    assert consent(api, 1).status == 200
    assert start(api, key="one").status == 200
    put(api, consentRequired=True, notice=OWN)
    assert api.reply("Hello").status == 200
    assert start(api, key="one").status == 200  # the same start, told again
    assert start(api).status == 400


def test_a_closed_position_is_closed_first(api: Api) -> None:
    put(api, consentRequired=True, isOpen=False)
    assert start(api).body == {"error": "The position is closed. No interview can be started."}


def test_a_position_that_asks_for_none_takes_it_all_the_same(api: Api) -> None:
    put(api)
    assert start(api).status == 200
    assert consent(api, notice(api).body["version"]).status == 200
