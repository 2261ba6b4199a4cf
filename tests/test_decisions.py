"""Decisions: what people record about applicants."""

import re
from typing import Any

import pytest

from api import ANA, Answer, Api, Applicant

REVIEWER = {"reason": "She saw what mattered.", "reviewer": "B. Okafor"}


def decide(api: Api, decision: str, applicant: Applicant = ANA, **fields: Any) -> Answer:
    body = {**applicant.fields, "decision": decision, **REVIEWER, **fields}
    return api.post("/decide", body)


@pytest.mark.both_databases
def test_every_decision_is_kept_in_order(api: Api) -> None:
    assert api.start().status == 200
    assert decide(api, "potential").status == 200
    answer = decide(api, "selected", reason="Ünd 🙂 'now'", reviewer="Mei")
    assert [one["decision"] for one in answer.body["decisions"]] == ["potential", "selected"]
    newest = answer.body["decisions"][-1]
    assert (newest["reason"], newest["reviewer"]) == ("Ünd 🙂 'now'", "Mei")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest["created_at"])


@pytest.mark.both_databases
def test_a_decision_is_about_one_applicant(api: Api) -> None:
    mei = ANA.named("Mei")
    for applicant in (ANA, mei):
        assert api.start(applicant).status == 200
    assert decide(api, "selected").status == 200
    answer = decide(api, "rejected", mei)
    assert [one["decision"] for one in answer.body["decisions"]] == ["rejected"]


@pytest.mark.both_databases
def test_who_was_invited_may_be_decided_about_and_who_was_not_may_not(api: Api) -> None:
    answer = decide(api, "rejected")
    assert answer.status == 404
    assert "no such applicant" in answer.body["error"]
    position = {"title": "Nurse", "prompt": "You interview."}
    assert api.raw("PUT", f"/positions/{ANA.access_key}", json=position).status_code == 200
    assert api.post("/invitations", ANA.fields).status == 200
    assert decide(api, "rejected").status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decision", "maybe"),
        ("decision", None),
        ("decision", 1),
        ("reason", ""),
        ("reason", " "),
        ("reason", "x" * 2001),
        ("reason", "a\0b"),
        ("reason", None),
        ("reviewer", ""),
        ("reviewer", "x" * 321),
        ("reviewer", ["x"]),
        ("reviewer", "\ud800"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(api: Api, field: str, value: Any) -> None:
    assert api.start().status == 200
    answer = api.post("/decide", {**ANA.fields, "decision": "selected", **REVIEWER, field: value})
    assert answer.status == 400
    assert field in answer.body["error"]


def test_of_what_is_missing_nothing_is_guessed(api: Api) -> None:
    assert api.start().status == 200
    for field in ("accessKey", "name", "email", "decision", "reason", "reviewer"):
        body = {**ANA.fields, "decision": "selected", **REVIEWER}
        del body[field]
        assert api.post("/decide", body).status == 400
