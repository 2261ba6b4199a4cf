"""The contract of the endpoints: what clients send, and word for word what they get."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from api import ANA, PROMPT, Api, Applicant
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal

pytestmark = pytest.mark.both_databases

HTTP_ENDPOINTS = [
    ("POST", "/start_interview"),
    ("POST", "/reply"),
    ("GET", "/get_messages/k/n/e"),
    ("GET", "/interview_status/k/n/e"),
    ("GET", "/get_applicants/k"),
    ("GET", "/finished_interviews/k"),
]


def test_an_interview_from_start_to_end(api: Api) -> None:
    started = api.start()
    assert (started.status, started.body) == (
        200,
        {"status": "Interview has started", "system": SCRIPT[0]},
    )
    for number, words in enumerate(["I am Ana.", "The ward.", "A fall.", "Well.", "No."], start=1):
        assert api.status() == "started"
        answer = api.reply(words)
        assert (answer.status, answer.body) == (200, {"system": SCRIPT[number]})
    assert api.status() == "finished"
    assert api.said()[:4] == [PROMPT, SCRIPT[0], "I am Ana.", SCRIPT[1]]
    assert len(api.messages()) == 12

    listed = {"name": ANA.name, "email": ANA.email}
    assert api.get("/get_applicants/job-1").body == {
        "status": "success",
        "applicants": [{**listed, "is_finished": 1}],
    }
    assert api.get("/finished_interviews/job-1").body == {
        "status": "success",
        "finished_interviews": [listed],
    }


def test_messages_have_the_documented_shape(api: Api) -> None:
    api.start()
    answer = api.get(f"/get_messages/{ANA.path}")
    assert answer.status == 200
    assert list(answer.body) == ["status", "access_key", "message_count", "messages"]
    assert answer.body["status"] == "success"
    assert answer.body["access_key"] == "job-1"
    assert answer.body["message_count"] == 2
    for message in answer.body["messages"]:
        assert set(message) == {"id", "content", "timestamp", "role"}
        assert isinstance(message["id"], int)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", message["timestamp"])


def test_an_interview_that_nobody_started_is_empty_and_no_error(api: Api) -> None:
    answer = api.get(f"/get_messages/{ANA.path}")
    assert answer.status == 200
    assert answer.body["messages"] == []
    assert answer.body["message_count"] == 0
    assert api.status() == "uninitiated"
    assert api.get("/get_applicants/job-1").body == {"status": "success", "applicants": []}
    assert api.get("/finished_interviews/job-1").body == {
        "status": "success",
        "finished_interviews": [],
    }


def test_a_second_start_is_refused_as_documented(api: Api) -> None:
    api.start()
    answer = api.start(prompt="Another prompt")
    assert (answer.status, answer.body) == (
        400,
        {"message": "Interview already started or exists for this user"},
    )
    assert api.said() == [PROMPT, SCRIPT[0]]


def test_a_reply_without_an_interview_is_refused_as_documented(api: Api) -> None:
    answer = api.reply("Hello?")
    assert (answer.status, answer.body) == (
        404,
        {"error": "Cannot reply, no interview history found."},
    )
    assert api.messages() == []


def test_a_failing_model_is_told_as_documented(api: Api, rehearsal: Rehearsal) -> None:
    rehearsal.misbehave("refused_key")
    answer = api.start()
    assert (answer.status, answer.body) == (500, {"error": "Failed to get response from AI"})
    api.start()
    rehearsal.misbehave("refused_key")
    answer = api.reply("Hello")
    assert (answer.status, answer.body) == (500, {"error": "Failed to get response from AI"})


def test_a_finished_interview_takes_no_reply(api: Api, rehearsal: Rehearsal) -> None:
    api.start()
    rehearsal.misbehave(Behaviour(message={"content": "THANK YOU for your time and INSIGHTS!"}))
    api.reply("Bye")
    asked, said = len(rehearsal.requests), api.said()
    answer = api.reply("One more thing")
    assert answer.status == 409
    assert "finished" in answer.body["error"]
    assert (len(rehearsal.requests), api.said()) == (asked, said)


def test_the_closing_phrase_counts_in_the_interviewers_words_only(api: Api) -> None:
    api.start(prompt="Say 'Thank you for your time and insights' at the end.")
    api.reply("Thank you for your time and insights")
    assert api.status() == "started"
    assert api.get("/finished_interviews/job-1").body["finished_interviews"] == []


def test_the_closing_phrase_is_a_setting(
    make_api: Callable[..., Api], rehearsal: Rehearsal
) -> None:
    api = make_api(closing_phrase="Schönen TAG, Straße")
    api.start()
    rehearsal.misbehave(Behaviour(message={"content": "Nun: SCHÖNEN Tag, STRASSE!"}))
    api.reply("Tschüss")
    assert api.status() == "finished"


def test_every_applicant_of_an_access_key_is_listed_once_in_order(api: Api) -> None:
    people = [Applicant(name=name, email=f"{name}@example.com") for name in ("Zoe", "Ana", "Mei")]
    for person in people:
        api.start(person)
        api.reply("Hello", person)
    api.start(Applicant(access_key="job-2"))
    listed = api.get("/get_applicants/job-1").body["applicants"]
    assert [person["name"] for person in listed] == ["Zoe", "Ana", "Mei"]
    assert [person["is_finished"] for person in listed] == [0, 0, 0]


@pytest.mark.parametrize(
    "name",
    [
        "Ana María Pérez",
        "D'Angelo O’Neil",
        "Dr. J. R. Smith, Jr.",
        "C++ Jones",
        "100% Bob",
        "Ann/Bob",
        "/Ann//Bob/",
        "李小龍",
        "José 👩🏽‍⚕️",
        "a&b=c;d:e@f",
        'say "hi" <b>',
        "tab\tnew\nline",
        "عائشة",
    ],
)
def test_names_reach_their_interview_encoded_or_as_fetch_sends_them(api: Api, name: str) -> None:
    applicant = ANA.named(name)
    assert api.start(applicant).status == 200
    assert len(api.messages(applicant)) == 2
    assert api.status(applicant) == "started"
    if not set(name) & set('?#\t\n"<>'):
        raw = f"{applicant.access_key}/{name}/{applicant.email}"
        assert len(api.get(f"/get_messages/{raw}").body["messages"]) == 2
    assert api.get("/get_applicants/job-1").body["applicants"][0]["name"] == name


@pytest.mark.parametrize("field", ["accessKey", "email"])
def test_a_slash_is_refused_where_the_path_could_not_be_told_apart(api: Api, field: str) -> None:
    answer = api.post("/start_interview", {**ANA.fields, "prompt": PROMPT, field: "a/b"})
    assert answer.status == 400
    assert field in answer.body["error"]


ENDPOINT_FIELDS = [
    (path, field)
    for path, text in (("/start_interview", "prompt"), ("/reply", "message"))
    for field in ("accessKey", "name", "email", text)
]


def body_of(path: str) -> dict[str, Any]:
    return {**ANA.fields, "prompt" if path == "/start_interview" else "message": "Hello"}


@pytest.mark.parametrize(("path", "field"), ENDPOINT_FIELDS)
@pytest.mark.parametrize("value", [None, "", "  \n\t", "missing"])
def test_what_is_missing_null_or_blank_is_incomplete(
    api: Api, rehearsal: Rehearsal, path: str, field: str, value: str | None
) -> None:
    body = {**body_of(path), field: value}
    if value == "missing":
        del body[field]
    answer = api.post(path, body)
    assert (answer.status, answer.body) == (400, {"error": "incomplete params"})
    assert not rehearsal.requests


@pytest.mark.parametrize(("path", "field"), ENDPOINT_FIELDS)
@pytest.mark.parametrize(
    "value",
    [5, 0, 1.5, True, False, [], ["Hello"], {}, {"a": 1}, "a\0b", "\ud800", 10**400],
    ids=lambda value: repr(value)[:16],
)
def test_what_cannot_be_stored_is_refused_by_its_name(
    api: Api, rehearsal: Rehearsal, path: str, field: str, value: object
) -> None:
    api.start()
    answer = api.post(path, {**body_of(path), field: value})
    assert answer.status == 400
    assert field in answer.body["error"]
    assert api.said() == [PROMPT, SCRIPT[0]]


@pytest.mark.parametrize(("path", "field"), ENDPOINT_FIELDS)
def test_the_replacement_character_is_refused_in_what_names_an_interview(
    api: Api, path: str, field: str
) -> None:
    api.start()
    answer = api.post(path, {**body_of(path), field: "\ufffd"})
    if field in ("prompt", "message"):
        assert "U+FFFD" not in str(answer.body)
    else:
        assert answer.status == 400
        assert f"{field} must be valid UTF-8" in answer.body["error"]


@pytest.mark.parametrize("path", ["job-1/A%FFna/a@b", "job-1/Ana/%C3", "%00/Ana/a@b"])
def test_broken_text_in_a_path_is_refused(api: Api, path: str) -> None:
    assert api.get(f"/get_messages/{path}").status == 400
    assert api.get(f"/interview_status/{path}").status == 400


@pytest.mark.parametrize(("path", "field"), ENDPOINT_FIELDS)
def test_limits_hold_to_the_character_and_store_nothing_beyond(
    make_api: Callable[..., Api], rehearsal: Rehearsal, path: str, field: str
) -> None:
    api = make_api(max_prompt_chars=150, max_message_chars=40, max_key_chars=30)
    api.start()
    limit = {"prompt": 150, "message": 40}.get(field, 30)
    asked = len(rehearsal.requests)
    answer = api.post(path, {**body_of(path), field: "é" * (limit + 1)})
    assert answer.status == 400
    assert field in answer.body["error"]
    assert str(limit) in answer.body["error"]
    assert len(rehearsal.requests) == asked
    assert api.post(path, {**body_of(path), field: "é" * limit}).body != answer.body
    assert len(api.get("/get_applicants/job-1").body["applicants"]) <= 2


def test_the_documented_default_limits(api: Api) -> None:
    assert api.start(prompt="p" * 100_000).status == 200
    assert api.reply("m" * 10_000).status == 200
    assert api.reply("m" * 10_001).status == 400
    assert api.start(ANA.named("n" * 320)).status == 200
    assert api.start(ANA.named("n" * 321)).status == 400


@pytest.mark.parametrize("path", ["/start_interview", "/reply"])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b"5", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": -Infinity}', 400),
        (b'{"name": 1e999}', 400),
        (b'{"name": ' + b"1" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 20_000, 400),
        (b'{"name": "\xff"}', 400),
        ('{"name": "Ana"}'.encode("utf-16"), 400),
        (b'{"name": "' + b"a" * 1_048_576 + b'"}', 413),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_is_no_json_object_is_refused(
    api: Api, path: str, data: bytes, status: int
) -> None:
    answer = api.send("POST", path, data=data, content_type="application/json")
    assert answer.status == status
    assert answer.body["error"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_refused(api: Api, content_type: str | None) -> None:
    answer = api.send("POST", "/reply", data=b"{}", content_type=content_type)
    assert answer.status == 415
    assert "application/json" in answer.body["error"]


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/get_messages/k", "/get_messages/k//e", "/static/x"]
)
def test_an_unknown_path_is_404_in_json(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status == 404
    assert answer.body["error"]


@pytest.mark.parametrize(("method", "path"), HTTP_ENDPOINTS)
def test_another_method_is_405_in_json_and_names_the_right_ones(
    api: Api, method: str, path: str
) -> None:
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "BREW"} - {method}:
        answer = api.send(other, path)
        assert answer.status == 405
        assert method in answer.headers["Allow"]


def test_answers_keep_their_characters_and_the_byte_order_mark_is_forgiven(api: Api) -> None:
    text = '{"accessKey":"k","name":"李","email":"e","prompt":"Zoë 😀"}'
    answer = api.send(
        "POST", "/start_interview", data=text.encode("utf-8-sig"), content_type="application/json"
    )
    assert answer.status == 200
    assert api.said(Applicant("k", "李", "e"))[0] == "Zoë 😀"


@pytest.mark.parametrize("key", ["", "k" * 256, "a\0b"])
def test_an_idempotency_key_has_1_to_255_characters_that_can_be_stored(api: Api, key: str) -> None:
    for path in ("/start_interview", "/reply"):
        answer = api.send("POST", path, json=body_of(path), headers={"Idempotency-Key": key})
        assert answer.status == 400
        assert "Idempotency-Key" in answer.body["error"]
    assert api.start(key="k" * 255).status == 200
