"""The API as its clients call it: over Flask's test client, or over HTTP."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx2
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

import contract

Json = Any
PROMPT = 'You interview a nurse. At the end say "Thank you for your time and insights".'


@dataclass(frozen=True)
class Applicant:
    access_key: str = "job-1"
    name: str = "Ana María"
    email: str = "ana+jobs@example.com"

    def named(self, name: str) -> "Applicant":
        return replace(self, name=name)

    @property
    def fields(self) -> dict[str, str]:
        return {"accessKey": self.access_key, "name": self.name, "email": self.email}

    @property
    def path(self) -> str:
        """The path's end, percent-encoded as Java does it: every character that can be."""
        return "/".join(quote(part, safe="") for part in (self.access_key, self.name, self.email))


ANA = Applicant()


@dataclass(frozen=True)
class Answer:
    status: int
    body: Json
    headers: Headers


class Api:
    """The endpoints; every answer must be JSON, but for those to `raw` requests."""

    def __init__(self, send: Callable[..., Answer], raw: Callable[..., Any]) -> None:
        self.send = send
        self.raw = raw

    def start(self, applicant: Applicant = ANA, prompt: str = PROMPT, key: str = "") -> Answer:
        return self.post("/start_interview", {**applicant.fields, "prompt": prompt}, key)

    def reply(self, message: str, applicant: Applicant = ANA, key: str = "") -> Answer:
        return self.post("/reply", {**applicant.fields, "message": message}, key)

    def post(self, path: str, body: Json, key: str = "") -> Answer:
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        return self.send("POST", path, data=json.dumps(body), headers=headers)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def messages(self, applicant: Applicant = ANA) -> list[Json]:
        """The transcript, once it has been seen to alternate as clients rely on."""
        answer = self.get(f"/get_messages/{applicant.path}")
        assert answer.status == 200
        assert answer.body["message_count"] == len(answer.body["messages"])
        messages: list[Json] = answer.body["messages"]
        assert [message["role"] for message in messages] == alternating(len(messages))
        ids = [message["id"] for message in messages]
        assert ids == sorted(set(ids))
        return messages

    def said(self, applicant: Applicant = ANA) -> list[str]:
        return [message["content"] for message in self.messages(applicant)]

    def status(self, applicant: Applicant = ANA) -> str:
        answer = self.get(f"/interview_status/{applicant.path}")
        assert answer.status == 200
        status: str = answer.body["status"]
        return status


def alternating(length: int) -> list[str]:
    """The roles of a transcript: prompt, interviewer, applicant, interviewer, ..."""
    return ["system", *("user" if i % 2 else "system" for i in range(length - 1))][:length]


def over_flask(client: FlaskClient) -> Api:
    def raw(method: str, path: str, **arguments: Any) -> TestResponse:
        return client.open(path, method=method, **arguments)

    def send(method: str, path: str, **arguments: Any) -> Answer:
        response = raw(method, path, **arguments)
        assert response.mimetype == "application/json"
        answer = Answer(response.status_code, response.get_json(), response.headers)
        return held(method, path, answer)

    return Api(send, raw)


def over_http(client: httpx2.Client) -> Api:
    def send(method: str, path: str, **arguments: Any) -> Answer:
        arguments["content"] = arguments.pop("data", None)
        response = client.request(method, path, **arguments)
        assert response.headers["Content-Type"] == "application/json"
        headers = Headers(response.headers.multi_items())
        answer = Answer(response.status_code, response.json(), headers)
        return held(method, path, answer)

    return Api(send, client.request)


def held(method: str, path: str, answer: Answer) -> Answer:
    """The answer, once it has been held against openapi.yaml."""
    contract.hold(method, path, answer.status, answer.body, answer.headers)
    return answer
