"""openapi.yaml against the app: every route, method and status of one is in the other.

That no answer strays from it is seen to wherever the tests call the app (`contract.py`).
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from werkzeug.test import TestResponse

from access.api_keys import hash_of
from api import ANA, PROMPT, Answer, Api
from app import create_app
from config import APP_FOLDER, Config
from contract import DOCUMENT, METHODS, operations, resolved, response, routes
from openai_api.rehearsal import FAULTS, Behaviour, Rehearsal
from records import erasing
from server import Gunicorn
from storage.sqlite.driver import sqlite3
from waiting import wait_until
from web.service import service

KEY = "a-recruiters-key"
AUTHORIZED = {"X-API-Key": KEY}

BODIES: dict[str, Any] = {
    "/start_interview": {**ANA.fields, "prompt": PROMPT},
    "/reply": {**ANA.fields, "message": "Hello"},
    "/applicant_token": ANA.fields,
    "/revoke_applicant_token": ANA.fields,
    "/invitations": ANA.fields,
    "/revoke_invitation": ANA.fields,
    "/open_invitation": {"secret": "unknown"},
    "/positions/{access_key}": {"title": "Nurse", "prompt": PROMPT},
    "/draft_rubric": {"accessKey": ANA.access_key},
    "/score_interview": ANA.fields,
    "/review_scorecard": {
        **ANA.fields,
        "id": "0" * 32,
        "criterion": "care",
        "score": 4,
        "reason": "She says so.",
        "reviewer": "B. Okafor",
    },
    "/consent": {**ANA.fields, "version": 1},
    "/another_way": ANA.fields,
    "/correct_message": {**ANA.fields, "message_id": 3, "note": "I meant another year."},
    "/decide": {
        **ANA.fields,
        "decision": "selected",
        "reason": "She says so.",
        "reviewer": "B. Okafor",
    },
    "/legal_hold": {
        **ANA.fields,
        "hold": True,
        "reason": "A court has asked for it.",
        "reviewer": "B. Okafor",
    },
}
RUBRIC = {
    "criteria": [
        {
            "id": "care",
            "title": "Care",
            "definition": "Cares.",
            "anchors": {"1": "Does not.", "3": "Does.", "5": "Does well."},
        }
    ]
}
NEED_A_POSITION = (
    "GET /positions/{access_key}",
    "POST /draft_rubric",
    "POST /invitations",
    "GET /notice/{access_key}",
    "POST /consent",
    "POST /another_way",
)
NEED_A_SCORECARD = (
    "/score_interview",
    "/get_scorecard/{access_key}/{name}/{email}",
    "/review_scorecard",
)
ERASURE = "/interviews/{access_key}/{name}/{email}"
NEED_AN_INTERVIEW = (
    *("/reply", "/decide", "/get_messages/{access_key}/{name}/{email}"),
    *("/export_interviews/{access_key}", "/legal_hold", ERASURE),
)
NEED_ANA = ("/export_interview/{access_key}/{name}/{email}",)


class Service:
    """The app with all that it can have, and what brings it to each status."""

    def __init__(self, config: Config, rehearsal: Rehearsal, database_path: Path) -> None:
        self.config = replace(
            config, api_keys=(hash_of(KEY),), secret_key=("s" * 32,), metrics=True
        )
        self.rehearsal = rehearsal
        self.folder = database_path.parent

    def answer(self, method: str, path: str, status: int) -> TestResponse:
        """Provoke the status; what cannot is a KeyError."""
        provoke: Callable[[str, str], TestResponse] = {
            200: self._as_it_should_be,
            202: self._pending,
            400: self._with_bad_input,
            401: lambda method, path: self._send(method, path, headers={}),
            403: self._with_a_token,
            404: self._not_there,
            408: self._stalling,
            409: self._finished,
            410: self._revoked,
            413: self._too_large,
            415: lambda method, path: self._send(method, path, content_type="text/plain"),
            422: self._with_a_used_key,
            429: self._too_often,
            500: self._without_an_answer,
            503: self._without_a_database,
        }[status]
        return provoke(method, path)

    def _send(self, method: str, path: str, **arguments: Any) -> TestResponse:
        app = create_app(self.config)
        if path in BODIES and method != "GET":
            body = json.dumps(arguments.pop("body", BODIES[path]))
            arguments = {"content_type": "application/json", "data": body, **arguments}
        parts = {"{access_key}": "job-1", "{name}": "Ana", "{email}": "a@b", "{asset}": "start.js"}
        for part, value in parts.items():
            path = path.replace(part, arguments.pop(part, value))
        arguments = {"headers": AUTHORIZED, **arguments}
        answer = app.test_client().open(path, method=method, **arguments)
        service(app).close()
        return answer

    def _put(self, **fields: Any) -> None:
        path = "/positions/{access_key}"
        answer = self._send("PUT", path, body={**BODIES[path], **fields})
        assert answer.status_code == 200

    def _invited(self) -> dict[str, str]:
        """A body with the secret of Ana's invitation."""
        self._put()
        link = self._send("POST", "/invitations").get_json()["link"]
        return {"secret": link.partition("#")[2]}

    def _started(self) -> None:
        assert self._send("POST", "/start_interview").status_code == 200

    def _as_it_should_be(self, method: str, path: str) -> TestResponse:
        if path in (*NEED_AN_INTERVIEW, *NEED_ANA):
            self._started()
        if path == "/correct_message":
            self._finished_by_a_reply()
        if path in NEED_ANA:
            return self._send(method, path, **{"{name}": ANA.name, "{email}": ANA.email})
        if f"{method} {path}" in NEED_A_POSITION:
            self._put()
        if path == "/draft_rubric":
            self.rehearsal.misbehave(Behaviour(message={"content": json.dumps(RUBRIC)}))
        if path in ("/open_invitation", "/revoke_invitation"):
            body = {**self._invited(), **ANA.fields}
            return self._send(method, path, body=body)
        if path.startswith("/explain/"):
            self._started()
            return self._send(method, path, **{"{name}": ANA.name, "{email}": ANA.email})
        if path in NEED_A_SCORECARD:
            scorecard = self._scored()
            if path == "/review_scorecard":
                return self._send(method, path, body={**BODIES[path], "id": scorecard})
            return self._of_ana(method, path)
        return self._of_ana(method, path) if path == ERASURE else self._send(method, path)

    def _of_ana(self, method: str, path: str) -> TestResponse:
        return self._send(method, path, **{"{name}": ANA.name, "{email}": ANA.email})

    def _finished_by_a_reply(self) -> None:
        self._started()
        self.config = replace(self.config, closing_phrase="piece of work")  # of the second answer
        assert self._send("POST", "/reply").status_code == 200

    def _pending(self, method: str, path: str) -> TestResponse:
        if path == ERASURE:
            self._started()
            with patience(0), reading(self.folder / "messages.db"):
                return self._of_ana(method, path)
        self.config = replace(self.config, closing_phrase="Hello")  # as the script begins
        self._put(rubric=RUBRIC)
        self._started()
        return self._send(method, path)

    def _scored(self) -> str:
        """Have a scorecard made, and return its id."""
        pending = self._pending("POST", "/score_interview")
        assert pending.status_code == 202
        app = create_app(self.config)
        service(app).worker.start()
        client = app.test_client()
        wait_until(
            lambda: (
                client.post("/score_interview", json=ANA.fields, headers=AUTHORIZED).status_code
                == 200
            )
        )
        service(app).close()
        scorecard: str = pending.get_json()["scorecard_id"]
        return scorecard

    def _stalling(self, method: str, path: str) -> TestResponse:
        return self._send(method, path, environ_overrides={"wsgi.input": Stalled()})

    def _with_bad_input(self, method: str, path: str) -> TestResponse:
        bad: dict[str, Any] = {"{access_key}": "%00"}
        if path in BODIES and method != "GET":
            bad = {"body": {}}
        if path == "/positions":
            bad = {"query_string": {"limit": "none"}}
        return self._send(method, path, **bad)

    def _with_a_token(self, method: str, path: str) -> TestResponse:
        other = self._send("POST", "/applicant_token", body=ANA.named("Mei").fields)
        headers = {"Authorization": f"Bearer {other.get_json()['token']}"}
        return self._send(method, path, headers=headers)

    def _not_there(self, method: str, path: str) -> TestResponse:
        if path.endswith("applicant_token"):
            self.config = replace(self.config, secret_key=())
        return self._send(
            method, path, **{"{asset}": "index.html", "query_string": {"after": "nobody's"}}
        )

    def _revoked(self, method: str, path: str) -> TestResponse:
        secret = self._invited()
        assert self._send("POST", "/revoke_invitation").status_code == 200
        return self._send(method, path, body=secret)

    def _finished(self, method: str, path: str) -> TestResponse:
        if path == "/open_invitation":
            secret = self._invited()
            self._put(isOpen=False)
            return self._send(method, path, body=secret)
        if path == "/start_interview":
            self._put(isOpen=False)
            return self._send(method, path)
        if path in ("/legal_hold", ERASURE):
            self._started()
            assert self._send("POST", "/legal_hold").status_code == 200
            return self._of_ana(method, path)
        if path == "/score_interview":
            self._put(rubric=RUBRIC)
            self._started()
            return self._send(method, path)
        if path == "/correct_message":  # the message is the interviewer's
            self._started()
            return self._send(method, path, body={**BODIES[path], "message_id": 2})
        if path == "/consent":
            self._put()
            self._put(notice={"text": "Another one.", "language": "en"})
            return self._send(method, path)
        if path == "/review_scorecard":
            pending = self._pending("POST", "/score_interview").get_json()["scorecard_id"]
            return self._send(method, path, body={**BODIES[path], "id": pending})
        self.config = replace(self.config, closing_phrase="Hello")  # as the script begins
        self._started()
        return self._send(method, path)

    def _too_large(self, method: str, path: str) -> TestResponse:
        self.config = replace(self.config, max_body_bytes=10)
        return self._send(method, path)

    def _with_a_used_key(self, method: str, path: str) -> TestResponse:
        headers = {**AUTHORIZED, "Idempotency-Key": "one"}
        self._send("POST", "/start_interview", headers=headers)
        return self._send(method, path, headers=headers, body={**BODIES[path], "prompt": "Else"})

    def _too_often(self, method: str, path: str) -> TestResponse:
        # Only a wrong key can come too often everywhere; test_rate_limits.py has the other limits.
        self.config = replace(self.config, rate_limits=True, limit_wrong_invitations="1/minute")
        app = create_app(self.config)
        if path == "/open_invitation":  # is open to everybody, and has no key to be wrong
            app.test_client().open(path, method=method, json=BODIES[path])
            return app.test_client().open(path, method=method, json=BODIES[path])
        url = re.sub(r"{\w+}", "any", path)
        for _ in range(10):
            answer = app.test_client().open(url, method=method, headers={"X-API-Key": "wrong"})
            assert answer.status_code == 401
        return app.test_client().open(url, method=method, headers={"X-API-Key": "wrong"})

    def _without_an_answer(self, method: str, path: str) -> TestResponse:
        if path == "/reply":
            self._started()
        if path == "/draft_rubric":
            self._put()
        self.rehearsal.default = FAULTS["no_quota"]
        return self._send(method, path)

    def _without_a_database(self, method: str, path: str) -> TestResponse:
        app = create_app(self.config)
        self.folder.rename(self.folder.with_name("elsewhere"))
        return app.test_client().open(
            re.sub(r"{\w+}", "any", path),
            method=method,
            json=None if method == "GET" else BODIES.get(path),
            headers=AUTHORIZED,
        )


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Let an erasure wait no longer for the files to be wiped."""
    usual, erasing.PATIENCE = erasing.PATIENCE, seconds
    yield
    erasing.PATIENCE = usual


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read the file for long."""
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM messages").fetchone()
        yield


class Stalled(io.RawIOBase):
    """A body that stops coming, as gunicorn's socket tells it."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise BlockingIOError


PATH_TOO_LONG = 414  # is answered by gunicorn, before the app


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param(method, path, int(status), id=f"{method} {path} {status}")
        for method, path, operation in operations()
        for status in operation["responses"]
        if int(status) != PATH_TOO_LONG
    ],
)
def test_every_status_that_is_described_is_answered(
    config: Config,
    rehearsal: Rehearsal,
    database_path: Path,
    method: str,
    path: str,
    status: int,
) -> None:
    answer = Service(config, rehearsal, database_path).answer(method, path, status)
    assert answer.status_code == status
    described = response(method, path, status)
    assert answer.mimetype in described["content"]
    assert described.get("headers", {}).keys() <= set(answer.headers.keys())


def test_a_path_that_is_too_long_is_answered_in_json(make_server: Callable[..., Gunicorn]) -> None:
    long = [(method, path) for method, path, _ in operations() if "{access_key}" in path]
    with make_server().start().api() as api:
        for method, path in long:
            answer: Answer = api.send(method, re.sub(r"{\w+}", "x" * 9000, path))
            assert answer.status == PATH_TOO_LONG


def test_every_route_and_method_is_described_and_every_one_described_exists(config: Config) -> None:
    app = create_app(replace(config, metrics=True, pages=False))
    assert routes(app) == {(method, path) for method, path, _ in operations()}
    methods = {key for item in DOCUMENT["paths"].values() for key in item}
    assert methods == {*METHODS, "parameters"}


def test_it_is_served_as_this_instance_keeps_it(make_api: Callable[..., Api]) -> None:
    served = make_api(max_key_chars=99, max_message_chars=7).get("/openapi.json").body
    schemas = served["components"]["schemas"]
    assert schemas["PartOfKey"]["maxLength"] == 99
    assert schemas["Reply"]["properties"]["message"]["maxLength"] == 7
    assert "/metrics" not in served["paths"]
    assert "security" not in json.dumps(served).replace("securitySchemes", "")

    served = make_api(api_keys=(hash_of(KEY),), metrics=True).get("/openapi.json").body
    assert served["security"] == [{"apiKey": []}, {"bearer": []}]
    assert served["paths"]["/reply"]["post"]["security"][-1] == {"applicantToken": []}
    assert served["paths"]["/healthz"]["get"]["security"] == []
    assert "/metrics" in served["paths"]


def test_its_file_has_the_defaults(config: Config) -> None:
    text = (APP_FOLDER / "openapi.yaml").read_text()
    limits = re.findall(r"maxLength: (\d+)\n\s+x-setting: (\w+)", text)
    assert len(limits) == text.count("x-setting:")
    for limit, setting in limits:
        assert int(limit) == getattr(config, setting.lower())


BODY_SCHEMAS = (
    *("Start", "StartByPosition", "Reply", "Interview", "TokenRequest"),
    *(
        "PositionName",
        "DecisionRequest",
        "ConsentRequest",
        "CorrectionRequest",
        "HoldRequest",
        "PositionBody",
        "InvitationRequest",
        "Secret",
        "ScoreRequest",
        "ReviewRequest",
    ),
)

# What a part of a body must say, by its type. What is no number, text, list or object is bounded.
LIMITS = {
    "string": {"maxLength", "pattern"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "array": {"maxItems"},
    "boolean": set(),
    "null": set(),
}


def parts_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every part of a body, from the outermost inwards."""
    schema = {**resolved(schema), **{k: v for k, v in schema.items() if k != "$ref"}}
    yield schema
    further = schema.get("additionalProperties") or {}
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), further]
    for part in [*inner, schema.get("items", {})]:
        if part:
            yield from parts_of(part)


def test_every_field_of_a_body_has_its_limits() -> None:
    for name in BODY_SCHEMAS:
        for part in parts_of(DOCUMENT["components"]["schemas"][name]):
            types = part.get("type", [])
            for kind in [types] if isinstance(types, str) else types:
                if kind == "object":
                    assert "properties" in part or "maxProperties" in part, part
                else:
                    assert LIMITS[kind] <= part.keys(), part
            assert types or "enum" in part or "anyOf" in part, part


def test_every_example_of_a_body_is_one() -> None:
    for name in BODY_SCHEMAS:
        schema = DOCUMENT["components"]["schemas"][name]
        jsonschema_rs.validator_for({**DOCUMENT, "allOf": [schema]}).validate(schema["example"])


def test_the_page_loads_only_what_is_served_with_it(config: Config) -> None:
    client = create_app(config).test_client()
    page = client.get("/docs")
    assert page.mimetype == "text/html"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for url in loaded:
        asset = client.get(f"/{url}")
        assert asset.status_code == 200
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        asset.close()
    assert client.get("/docs/..%2fflask_swagger_ui.py").status_code == 404
