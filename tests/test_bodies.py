"""Bodies: their size, their number of values, and models of nested JSON."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel, Field, field_validator, model_validator

from access.guard import everybody
from api import ANA, PROMPT, Api
from app import create_app
from config import Config
from web.bodies import BYTES_PER_CHARACTER, MAX_VALUES, SPARE_BYTES, body_as
from web.service import service

ASTRAL = "\U0001f4a3"  # twelve bytes in JSON, if it is escaped


@pytest.mark.parametrize(("path", "text"), [("/start_interview", "prompt"), ("/reply", "message")])
def test_a_body_in_the_longest_way_of_writing_is_accepted(
    make_api: Callable[..., Api], path: str, text: str
) -> None:
    api = make_api(max_prompt_chars=5000, max_message_chars=5000)
    fields = {"accessKey": ASTRAL * 200, "name": ASTRAL * 200, "email": ASTRAL * 200}
    assert api.post("/start_interview", {**fields, "name": "Ana", "prompt": "Hi"}).status == 200
    if path == "/reply":
        fields["name"] = "Ana"
    assert api.post(path, {**fields, text: ASTRAL * 5000}).status == 200


@pytest.mark.parametrize(
    ("path", "characters"),
    [("/reply", 10_000), ("/applicant_token", 0), ("/revoke_applicant_token", 0)],
)
def test_a_body_that_no_fields_can_fill_is_too_large(api: Api, path: str, characters: int) -> None:
    limit = SPARE_BYTES + BYTES_PER_CHARACTER * (characters + 3 * 320)
    for size, status in ((limit, 400), (limit + 1, 413)):
        body = b"{}" + b" " * (size - 2)
        answer = api.send("POST", path, data=body, content_type="application/json")
        assert answer.status == status
    assert answer.body == {"error": "The data value transmitted exceeds the capacity limit."}


def test_no_body_is_larger_than_the_setting(make_api: Callable[..., Api]) -> None:
    api = make_api(max_body_bytes=500)
    for path in ("/start_interview", "/reply", "/applicant_token"):
        answer = api.send("POST", path, data=b" " * 501, content_type="application/json")
        assert answer.status == 413


@pytest.mark.parametrize(
    "value",
    [
        "[" + "{}," * MAX_VALUES + "{}]",
        "[" + "0," * MAX_VALUES + "0]",
        "[" + '"",' * MAX_VALUES + '""]',
        "[" + '"\\"",' * MAX_VALUES + '""]',
        "{" + '"a":0,' * MAX_VALUES + '"b":0}',
        "[" * MAX_VALUES + "]" * MAX_VALUES,
        "{" * 50_000,
        '"' * 100_000,
        '"' + '\\"' * 50_000,
        '{"' * 30_000,
        "\\" * 100_000,
        "," * 100_000,
    ],
    ids=lambda value: value[:12],
)
def test_a_body_of_very_many_values_is_refused(api: Api, value: str) -> None:
    body = f'{{"accessKey": "a", "name": "b", "email": "c", "message": {value}}}'
    answer = api.send("POST", "/reply", data=body.encode(), content_type="application/json")
    assert answer.status == 400
    assert answer.body["error"].startswith("The body ")


@pytest.mark.parametrize(
    "text",
    [
        "{[,]}" * 2000,
        '"{[,]}"' * 1400,
        "\\{[,]}\\" * 1400,
        '\\"{,' * 2500,
        '\\\\"' * 3000 + "," * 1000,
        ",\n" * 5000,
    ],
    ids=lambda text: text[:8],
)
def test_what_looks_like_values_in_a_text_is_no_value(api: Api, text: str) -> None:
    api.start()
    assert api.reply(text).status == 200
    assert api.said()[2] == text


def test_fields_that_nobody_knows_are_ignored_whatever_they_hold(api: Api) -> None:
    extra = {"rubric": [{"skill": "care", "levels": [1, 2.5, None, True]}] * 50}
    assert api.post("/start_interview", {**ANA.fields, "prompt": PROMPT, **extra}).status == 200


# --- Models ---


class Question(BaseModel):
    text: Annotated[str, Field(min_length=2, max_length=500)]
    weight: Annotated[int, Field(ge=1, le=5)] = 1
    kind: Literal["open", "closed"] = "open"

    @field_validator("text")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank.")
        return text


class Plan(BaseModel):
    questions: Annotated[list[Question], Field(min_length=1, max_length=3)]
    labels: dict[str, str] = {}
    is_draft: bool = Field(default=False, alias="isDraft")

    @model_validator(mode="after")
    def _draft_has_one(self) -> "Plan":
        if self.is_draft and len(self.questions) > 1:
            raise ValueError("must not have more than one question in a draft.")
        return self


class Request(BaseModel):
    plan: Plan
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The app with an endpoint whose body is nested."""
    app = create_app(config)

    @app.post("/plan")
    @everybody
    def plan() -> dict[str, Any]:
        return body_as(Request, max_bytes=50_000).model_dump()

    yield app
    service(app).close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


FINE = {"text": "Tell me about yourself."}


def body(**plan: Any) -> dict[str, Any]:
    return {"plan": {"questions": [FINE], **plan}}


def test_a_model_gets_its_fields_and_ignores_others(client: FlaskClient) -> None:
    answer = client.post("/plan", json={**body(other=[1]), "else": None})
    assert answer.status_code == 200
    assert answer.get_json() == {
        "plan": {
            "questions": [{**FINE, "weight": 1, "kind": "open"}],
            "labels": {},
            "is_draft": False,
        },
        "share": 0.5,
    }


def questions(*further: Any) -> dict[str, Any]:
    return body(questions=[FINE, *further])


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "plan is missing."),
        ({"plan": {}}, "plan.questions is missing."),
        ({"plan": []}, "plan must be an object."),
        ({"plan": None}, "plan must be an object."),
        (body(questions={}), "plan.questions must be a list."),
        (body(questions=[]), "plan.questions must have at least 1 items."),
        (body(questions=[FINE] * 4), "plan.questions must not have more than 3 items."),
        (questions({}), "plan.questions[1].text is missing."),
        (questions("text"), "plan.questions[1] must be an object."),
        (questions({"text": 5}), "plan.questions[1].text must be a string."),
        (questions({"text": None}), "plan.questions[1].text must be a string."),
        (questions({"text": "a"}), "plan.questions[1].text must have at least 2 characters."),
        (questions({"text": "  "}), "plan.questions[1].text must not be blank."),
        (
            questions(FINE, {"text": "a" * 501}),
            "plan.questions[2].text must not be longer than 500 characters.",
        ),
        (questions({"text": "a\0b"}), "plan.questions[1].text must not hold NUL."),
        (
            questions({"text": "a\ud800"}),
            "plan.questions[1].text must not hold half of a surrogate pair.",
        ),
        (
            questions({**FINE, "weight": "5"}),
            "plan.questions[1].weight must be a whole number.",
        ),
        (questions({**FINE, "weight": True}), "plan.questions[1].weight must be a whole number."),
        (questions({**FINE, "weight": 1.5}), "plan.questions[1].weight must be a whole number."),
        (questions({**FINE, "weight": 0}), "plan.questions[1].weight must be 1 or more."),
        (questions({**FINE, "weight": 10**400}), "plan.questions[1].weight must be 5 or less."),
        (
            questions({**FINE, "kind": "odd"}),
            "plan.questions[1].kind must be 'open' or 'closed'.",
        ),
        (body(labels={"a": "\0"}), "plan.labels.a must not hold NUL."),
        (body(labels={"a\0": "b"}), "A name in plan.labels must not hold NUL."),
        (body(isDraft="yes"), "plan.isDraft must be true or false."),
        (
            questions(FINE) | {"plan": {"questions": [FINE] * 2, "isDraft": True}},
            "plan must not have more than one question in a draft.",
        ),
        ({**body(), "share": 1}, "share must be less than 1.0."),
        ({**body(), "share": "0.5"}, "share must be a number."),
        ([], "The body must be a JSON object."),
    ],
)
def test_a_value_that_a_model_does_not_accept_is_named_by_its_place(
    client: FlaskClient, sent: Any, sentence: str
) -> None:
    answer = client.post("/plan", data=json.dumps(sent), content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json() == {"error": sentence}


@pytest.mark.parametrize("text", ['{"plan": NaN}', '{"plan": {}, "plan": {}}', "{", "[" * 9000])
def test_a_models_body_is_strict_json(client: FlaskClient, text: str) -> None:
    answer = client.post("/plan", data=text, content_type="application/json")
    assert answer.status_code == 400


def test_a_models_body_has_its_own_limit(client: FlaskClient) -> None:
    answer = client.post("/plan", data=" " * 50_001, content_type="application/json")
    assert answer.status_code == 413
