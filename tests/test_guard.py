"""Who may call what: every route with every kind of credential, and what a token opens."""

import io
import json
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import URLSafeSerializer
from werkzeug.test import TestResponse

from access.api_keys import hash_of, new_key
from access.applicant_tokens import SALT, ApplicantTokens
from access.guard import Policy, policy_of
from api import ANA, PROMPT, Api, Applicant
from app import create_app
from config import Config, load
from contract import path_of, routes
from db import InterviewKey, open_database
from openai_api.rehearsal import SCRIPT, Rehearsal
from server import Gunicorn
from web.service import service

PLAIN_KEY, HASHED_KEY = new_key(), new_key()
SECRET, RETIRED_SECRET, FOREIGN_SECRET = "s" * 40, "r" * 40, "f" * 40
MEI = Applicant("job-2", "Mei", "mei@example.com")
HER_WORDS = "I was fired for telling the truth."
HER_PROMPT = "Be gentle with Mei."

CREDENTIALS = (
    *("none", "wrong key", "right key", "right key as X-API-Key", "hashed key", "the hash itself"),
    *("token", "token of another", "expired", "tampered", "of a retired secret"),
    *("of a foreign secret", "revoked", "for something else"),
)
# What opens everything; what opens one interview; the rest opens nothing.
KEYS = ("right key", "right key as X-API-Key", "hashed key")
TOKENS = ("token", "of a retired secret")
OTHERS_TOKEN = "token of another"

PUBLIC, RECRUITERS, INTERVIEW = Policy.EVERYBODY, Policy.KEY, Policy.KEY_OR_OWN_TOKEN
BOARD = Policy.BOARD_SESSION

# A row for each route: to whom it is open.
ROUTES = {
    "POST /start_interview": INTERVIEW,
    "POST /reply": INTERVIEW,
    "GET /get_messages/{access_key}/{name}/{email}": INTERVIEW,
    "GET /interview_status/{access_key}/{name}/{email}": INTERVIEW,
    "GET /get_applicants/{access_key}": RECRUITERS,
    "GET /finished_interviews/{access_key}": RECRUITERS,
    "POST /applicant_token": RECRUITERS,
    "POST /revoke_applicant_token": RECRUITERS,
    "PUT /positions/{access_key}": RECRUITERS,
    "GET /positions/{access_key}": RECRUITERS,
    "GET /positions": RECRUITERS,
    "POST /draft_rubric": RECRUITERS,
    "POST /invitations": RECRUITERS,
    "POST /revoke_invitation": RECRUITERS,
    "POST /open_invitation": PUBLIC,
    "GET /interview": PUBLIC,
    "GET /static/{version}/{name}": PUBLIC,
    "POST /score_interview": RECRUITERS,
    "GET /get_scorecard/{access_key}/{name}/{email}": RECRUITERS,
    "GET /get_scorecards/{access_key}": RECRUITERS,
    "POST /review_scorecard": RECRUITERS,
    "POST /decide": RECRUITERS,
    "GET /": PUBLIC,
    "POST /try": PUBLIC,
    "GET /board/sign_in": PUBLIC,
    "POST /board/sign_in": PUBLIC,
    "POST /board/sign_out": PUBLIC,
    "GET /board": BOARD,
    "GET /board/new_position": BOARD,
    "POST /board/new_position": BOARD,
    "GET /board/positions/{access_key}": BOARD,
    "GET /board/positions/{access_key}/edit": BOARD,
    "POST /board/positions/{access_key}/edit": BOARD,
    "POST /board/positions/{access_key}/open": BOARD,
    "GET /board/positions/{access_key}/applicants.csv": BOARD,
    "GET /board/positions/{access_key}/invite": BOARD,
    "POST /board/positions/{access_key}/invite": BOARD,
    "GET /board/positions/{access_key}/compare": BOARD,
    "GET /board/positions/{access_key}/overview": BOARD,
    "GET /board/invitations/{number}": BOARD,
    "POST /board/invitations/{number}/renew": BOARD,
    "POST /board/invitations/{number}/withdraw": BOARD,
    "GET /board/interviews/{number}": BOARD,
    "POST /board/interviews/{number}/score": BOARD,
    "POST /board/interviews/{number}/review": BOARD,
    "POST /board/interviews/{number}/decide": BOARD,
    "GET /board/interviews/{number}/interview.json": BOARD,
    "GET /board/interviews/{number}/transcript.csv": BOARD,
    "GET /board/interviews/{number}/score": BOARD,
    "GET /board/interviews/{number}/review": BOARD,
    "GET /board/interviews/{number}/decide": BOARD,
    "GET /board/version": BOARD,
    "GET /board/{unknown}": BOARD,
    "GET /metrics": RECRUITERS,
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /docs": PUBLIC,
    "GET /docs/{asset}": PUBLIC,
}


@pytest.fixture
def keyed(make_api: Callable[..., Api]) -> Api:
    """The API with keys, tokens and two interviews."""
    settings = load(
        {
            "OPENAI_API_KEY": "any",
            "API_KEYS": f"{PLAIN_KEY}, sha256:{hash_of(HASHED_KEY).hex().upper()}",
            "SECRET_KEY": f"{SECRET},{RETIRED_SECRET}",
        }
    )
    api = make_api(api_keys=settings.api_keys, secret_key=settings.secret_key, metrics=True)
    for applicant, prompt, words in ((ANA, PROMPT, "Hello"), (MEI, HER_PROMPT, HER_WORDS)):
        for path, text in (
            ("/start_interview", {"prompt": prompt}),
            ("/reply", {"message": words}),
        ):
            assert (
                call(api, "POST", path, {**applicant.fields, **text}, key(PLAIN_KEY)).status == 200
            )
    return api


def key(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def call(
    api: Api, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Any:
    data = None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json", **(headers or {})}
    return api.send(method, path, data=data, headers=headers)


def token_for(api: Api, applicant: Applicant, **fields: Any) -> str:
    body = {**applicant.fields, **fields}
    token: str = call(api, "POST", "/applicant_token", body, key(PLAIN_KEY)).body["token"]
    return token


def signed(secret: str, interview: Applicant, *, expires_in: int = 60, salt: str = SALT) -> str:
    """A token as the service signs it, by any secret."""
    digest = InterviewKey(*interview.fields.values()).digest()
    return str(
        URLSafeSerializer(
            secret, salt, signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"}
        ).dumps([digest, 0, int(time.time()) + expires_in])
    )


def credential(api: Api, kind: str) -> dict[str, str]:
    if kind == "none":
        return {}
    if kind == "right key as X-API-Key":
        return {"X-API-Key": PLAIN_KEY}
    if kind == "revoked":
        token = token_for(api, ANA)
        assert (
            call(api, "POST", "/revoke_applicant_token", ANA.fields, key(PLAIN_KEY)).status == 200
        )
        return key(token)
    token = token_for(api, ANA)
    middle = len(token) // 3
    return key(
        {
            "wrong key": new_key(),
            "right key": PLAIN_KEY,
            "hashed key": HASHED_KEY,
            "the hash itself": f"sha256:{hash_of(HASHED_KEY).hex()}",
            "token": token,
            "token of another": token_for(api, MEI),
            "expired": signed(SECRET, ANA, expires_in=-1),
            "tampered": token[:middle]
            + ("A" if token[middle] != "A" else "B")
            + token[middle + 1 :],
            "of a retired secret": signed(RETIRED_SECRET, ANA),
            "of a foreign secret": signed(FOREIGN_SECRET, ANA),
            "for something else": signed(SECRET, ANA, salt="session"),
        }[kind]
    )


# What is answered to those who are let in, where it is not 200: Ana's interview is started already,
# and her access key has no position, and so no scorecard. An invitation is opened by its secret,
# which is missing.
ANSWERS = {
    "POST /start_interview": 400,
    "GET /positions/{access_key}": 404,
    "POST /draft_rubric": 404,
    "POST /invitations": 404,
    "POST /revoke_invitation": 404,
    "POST /open_invitation": 400,
    "POST /score_interview": 404,
    "GET /get_scorecard/{access_key}/{name}/{email}": 404,
    "POST /review_scorecard": 404,
    "GET /": 404,  # as programs do not ask for HTML
    "POST /try": 404,  # as this is no rehearsal
    "POST /board/sign_in": 400,  # without the token of the form
    "POST /board/sign_out": 400,
}


def expected(route: str, kind: str) -> int:
    if ROUTES[route] == BOARD:
        return 303  # to sign in, whatever key or token comes with the request
    if ROUTES[route] == PUBLIC or kind in KEYS:
        return ANSWERS.get(route, 200)
    if kind in TOKENS:
        if route == "POST /start_interview":
            return 403  # as there is a prompt
        return 200 if ROUTES[route] == INTERVIEW else 403
    return 403 if kind == OTHERS_TOKEN else 401


def request_to(api: Api, route: str, headers: dict[str, str]) -> TestResponse:
    """Call the route for Ana's interview."""
    method, path = route.split(" ")
    bodies = {
        "/start_interview": {**ANA.fields, "prompt": PROMPT},
        "/reply": {**ANA.fields, "message": "And so on"},
        "/positions/{access_key}": {"title": "Nurse", "prompt": PROMPT},
        "/review_scorecard": {
            **ANA.fields,
            "id": "0" * 32,
            "criterion": "care",
            "score": 4,
            "reason": "She says so.",
            "reviewer": "B. Okafor",
        },
        "/decide": {
            **ANA.fields,
            "decision": "selected",
            "reason": "She says so.",
            "reviewer": "B. Okafor",
        },
    }
    body = None if method == "GET" else bodies.get(path, ANA.fields)
    ends = {
        "{access_key}/{name}/{email}": ANA.path,
        "{access_key}": ANA.access_key,
        "{asset}": "start.js",
        "{number}": "1",
        "{unknown}": "unknown",
        "{version}/{name}": "any/style.css",
    }
    for end, value in ends.items():
        path = path.replace(end, value)
    response: TestResponse = api.raw(method, path, json=body, headers=headers)
    return response


def test_every_route_has_a_row_and_declares_what_it_says(config: Config) -> None:
    app = create_app(replace(config, metrics=True))
    assert {f"{method} {path}" for method, path in routes(app)} == set(ROUTES)
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            declared = policy_of(app.view_functions[rule.endpoint])
            assert declared is ROUTES[f"{method} {path_of(rule)}"], rule.endpoint
    service(app).close()


@pytest.mark.parametrize("keys", [(), (hash_of(PLAIN_KEY),)], ids=["open", "with keys"])
def test_a_route_that_declares_nothing_serves_nobody(
    config: Config, caplog: pytest.LogCaptureFixture, keys: tuple[bytes, ...]
) -> None:
    app = create_app(replace(config, api_keys=keys))

    @app.get("/forgotten")
    def forgotten() -> str:
        return "secret"

    answer = app.test_client().get("/forgotten", headers=key(PLAIN_KEY))
    assert (answer.status_code, answer.get_json()) == (500, {"error": "Internal server error"})
    assert "The view of forgotten declares no access policy." in caplog.text
    service(app).close()


class Unread(io.RawIOBase):
    """A body that must not be read."""

    def readinto(self, _: Any) -> int:
        raise AssertionError("The body was read.")


@pytest.mark.parametrize("kind", ["none", "wrong key", "expired", "tampered", "revoked"])
@pytest.mark.parametrize(
    "route",
    [route for route, to in ROUTES.items() if not route.startswith("GET") and to != PUBLIC],
)
def test_no_body_is_read_before_the_credential_is_checked(
    keyed: Api, route: str, kind: str
) -> None:
    answer = keyed.raw(
        *route.replace("{number}", "1").split(" "),
        headers={**credential(keyed, kind), "Content-Type": "application/json"},
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "100"},
    )
    assert answer.status_code == (303 if ROUTES[route] == BOARD else 401)


@pytest.mark.parametrize("kind", CREDENTIALS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_opens_to_whom_it_should(keyed: Api, route: str, kind: str) -> None:
    answer = request_to(keyed, route, credential(keyed, kind))
    assert answer.status_code == expected(route, kind)
    for of_another in (HER_WORDS, HER_PROMPT, MEI.name, MEI.email):
        assert of_another not in answer.text
    if answer.status_code in (401, 403):
        assert set(answer.get_json()) == {"error"}
        for of_the_interview in (PROMPT, "Hello", ANA.name, ANA.email, *SCRIPT):
            assert of_the_interview not in answer.text
    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)


@pytest.mark.parametrize("route", [route for route, to in ROUTES.items() if to == INTERVIEW])
def test_a_token_does_not_open_another_interview_however_it_is_named(
    keyed: Api, route: str
) -> None:
    headers = credential(keyed, "token")
    method, path = route.split(" ")
    for other in (
        MEI,
        ANA.named(MEI.name),
        ANA.named(f"{ANA.name} "),
        ANA.named(ANA.name.lower()),
        ANA.named(f"x/{ANA.name}"),
        Applicant(MEI.access_key, ANA.name, ANA.email),
        Applicant(f"{ANA.access_key}/{ANA.name}", ANA.name, ANA.email),
        Applicant(ANA.access_key, ANA.name, MEI.email),
        ANA.named("' OR 1=1 --"),
    ):
        if method == "POST":
            body = {**other.fields, "message": "Hi", "interview": ANA.fields, "Name": ANA.name}
            answer = call(keyed, method, path, body, headers)
        else:
            url = path.replace("{access_key}/{name}/{email}", other.path)
            answer = call(keyed, method, f"{url}?name={ANA.name}&access_key=job-1", None, headers)
        is_no_name = path == "/start_interview" and "/" in other.access_key
        assert answer.status == (400 if is_no_name else 403)
        assert set(answer.body) == {"error"}
    assert said(keyed, MEI) == [HER_PROMPT, SCRIPT[0], HER_WORDS, SCRIPT[1]]


def said(api: Api, applicant: Applicant) -> list[str]:
    answer = call(api, "GET", f"/get_messages/{applicant.path}", None, key(PLAIN_KEY))
    return [message["content"] for message in answer.body["messages"]]


def test_a_tokens_holder_holds_the_interview_and_does_not_read_the_prompt(keyed: Api) -> None:
    headers = key(token_for(keyed, ANA))
    answer = call(keyed, "POST", "/reply", {**ANA.fields, "message": "I am Ana."}, headers)
    assert answer.body == {"system": SCRIPT[2]}
    answer = call(keyed, "GET", f"/get_messages/{ANA.path}", None, headers)
    assert [message["role"] for message in answer.body["messages"]][:2] == ["system", "system"]
    assert answer.body["messages"][0]["content"] == ""
    assert answer.body["message_count"] == 6
    told = [message["content"] for message in answer.body["messages"]][1:]
    assert told == [SCRIPT[0], "Hello", SCRIPT[1], "I am Ana.", SCRIPT[2]]
    assert said(keyed, ANA) == [PROMPT, *told]
    status = call(keyed, "GET", f"/interview_status/{ANA.path}", None, headers)
    assert status.body == {"status": "started"}


def test_a_tokens_holder_reads_no_copy_of_the_prompt_either(
    keyed: Api, database_path: Path
) -> None:
    """As the service before this one may still write it twice: two starts at once."""
    noor = ANA.named("Noor")
    rows = [*[("system", PROMPT)] * 2, ("system", "Welcome."), ("user", "Hi."), ("system", PROMPT)]
    with sqlite3.connect(database_path) as connection:
        connection.executemany(
            "INSERT INTO messages (role, content, date_created, access_key, name, email)"
            " VALUES (?, ?, '2025-04-06 12:00:00', ?, ?, ?)",
            [(*row, *noor.fields.values()) for row in rows],
        )
    connection.close()
    headers = key(token_for(keyed, noor))
    answer = call(keyed, "GET", f"/get_messages/{noor.path}", None, headers)
    assert [(message["role"], message["content"]) for message in answer.body["messages"]] == [
        *(("system", ""), ("system", "Welcome."), ("user", "Hi."), ("system", "")),
    ]


def test_a_token_may_be_issued_before_the_interview_starts(keyed: Api) -> None:
    noor = ANA.named("Noor")
    headers = key(token_for(keyed, noor))
    assert call(keyed, "GET", f"/get_messages/{noor.path}", None, headers).body["messages"] == []
    body = {**noor.fields, "prompt": PROMPT}
    assert call(keyed, "POST", "/start_interview", body, key(PLAIN_KEY)).status == 200
    body = {**noor.fields, "message": "Hi"}
    assert call(keyed, "POST", "/reply", body, headers).status == 200


def test_the_answer_to_every_wrong_credential_is_the_same(keyed: Api) -> None:
    wrong = ("none", "wrong key", "the hash itself", "tampered", "of a foreign secret")
    answers = [
        call(keyed, "GET", "/get_applicants/job-1", None, credential(keyed, kind)) for kind in wrong
    ]
    for value in ("Bearer", "Bearer ", "Basic YTpi", PLAIN_KEY, f"Basic {PLAIN_KEY}", "Bearer é"):
        headers = {"Authorization": value}
        answers.append(call(keyed, "GET", "/get_applicants/job-1", None, headers))
    assert {answer.status for answer in answers} == {401}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert len({answer.headers["WWW-Authenticate"] for answer in answers}) == 1


def test_who_had_a_true_token_learns_why_it_opens_nothing(keyed: Api) -> None:
    for kind, sentence in (("expired", "has expired"), ("revoked", "was revoked")):
        answer = call(keyed, "GET", f"/interview_status/{ANA.path}", None, credential(keyed, kind))
        assert answer.status == 401
        assert sentence.split()[-1] in answer.body["error"]


@pytest.mark.both_databases
def test_revoking_ends_earlier_tokens_of_one_interview_for_good(keyed: Api) -> None:
    earlier = [token_for(keyed, ANA) for _ in range(2)]
    hers = token_for(keyed, MEI)
    path = f"/interview_status/{ANA.path}"
    for _ in range(2):
        answer = call(keyed, "POST", "/revoke_applicant_token", ANA.fields, key(PLAIN_KEY))
        assert answer.body == {"status": "success"}
    later = token_for(keyed, ANA)
    assert [call(keyed, "GET", path, None, key(token)).status for token in earlier] == [401, 401]
    assert call(keyed, "GET", path, None, key(later)).status == 200
    assert call(keyed, "GET", f"/interview_status/{MEI.path}", None, key(hers)).status == 200


@pytest.mark.both_databases
def test_a_revocation_holds_on_every_worker_and_after_a_kill(
    make_server: Callable[..., Gunicorn],
) -> None:
    server = make_server(API_KEYS=PLAIN_KEY, SECRET_KEY=SECRET).start()
    with server.api() as api:
        token = token_for(api, ANA)
        path = f"/interview_status/{ANA.path}"
        assert call(api, "GET", path, None, key(token)).status == 200
        call(api, "POST", "/revoke_applicant_token", ANA.fields, key(PLAIN_KEY))
    server.kill()
    server.start()
    for _ in range(8):
        with server.api() as api:  # each time another connection, so perhaps another worker
            assert call(api, "GET", path, None, key(token)).status == 401


@pytest.mark.parametrize(
    ("expires_in", "seconds"), [(1, 1), (2_592_000, 2_592_000), (60.0, 60), (None, 86_400)]
)
def test_a_token_says_when_it_expires(keyed: Api, expires_in: Any, seconds: int) -> None:
    before = int(time.time())
    body = {**ANA.fields, "expiresIn": expires_in}
    answer = call(keyed, "POST", "/applicant_token", body, key(PLAIN_KEY))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer.body["expires_at"])
    expires = int(time.mktime(time.strptime(answer.body["expires_at"], "%Y-%m-%dT%H:%M:%SZ")))
    expires -= time.timezone
    assert before + seconds <= expires <= int(time.time()) + seconds


def test_a_token_ends_when_it_said(keyed: Api) -> None:
    headers = key(token_for(keyed, ANA, expiresIn=1))
    path = f"/interview_status/{ANA.path}"
    assert call(keyed, "GET", path, None, headers).status == 200
    time.sleep(1.1)
    assert call(keyed, "GET", path, None, headers).status == 401


@pytest.mark.parametrize("expires_in", [0, -1, 2_592_001, 1.5, True, "60", [60], {}, 1e300])
def test_a_lifetime_that_makes_no_sense_is_400(keyed: Api, expires_in: Any) -> None:
    body = {**ANA.fields, "expiresIn": expires_in}
    answer = call(keyed, "POST", "/applicant_token", body, key(PLAIN_KEY))
    assert answer.status == 400
    assert answer.body["error"].startswith("expiresIn ")


def test_a_token_holds_no_name(keyed: Api) -> None:
    payload = URLSafeSerializer(SECRET, SALT).loads_unsafe(token_for(keyed, ANA))[1]
    for value in ANA.fields.values():
        assert value not in json.dumps(payload, ensure_ascii=False)


def test_the_first_secret_signs(config: Config) -> None:
    database = open_database(config)
    interview = InterviewKey(*ANA.fields.values())
    token, _ = ApplicantTokens([SECRET, RETIRED_SECRET], database).issue(interview, 60)
    assert ApplicantTokens([SECRET], database).digest_of(token) == interview.digest()
    database.close()


@pytest.mark.parametrize(
    "settings", [{}, {"api_keys": (hash_of(PLAIN_KEY),)}, {"secret_key": (SECRET,)}]
)
@pytest.mark.parametrize("path", ["/applicant_token", "/revoke_applicant_token"])
def test_without_both_settings_there_are_no_tokens(
    make_api: Callable[..., Api], settings: dict[str, Any], path: str
) -> None:
    answer = call(make_api(**settings), "POST", path, ANA.fields, key(PLAIN_KEY))
    assert answer.status == 404
    assert "API_KEYS and SECRET_KEY" in answer.body["error"]


def test_without_keys_everything_is_open_whatever_is_sent(api: Api) -> None:
    for headers in ({}, key("any"), {"X-API-Key": "any"}, key(signed(SECRET, MEI))):
        answer = call(api, "GET", f"/get_messages/{ANA.path}", None, headers)
        assert answer.status == 200
    assert api.start().status == 200
    assert api.said()[0] == PROMPT


def test_an_open_service_warns_once_and_a_closed_one_does_not(
    make_server: Callable[..., Gunicorn], tmp_path: Path
) -> None:
    server = make_server().start()
    assert server.log.read_text().count("THE API IS OPEN") == 1
    server.stop()
    server.log.unlink()
    server = make_server(API_KEYS=PLAIN_KEY, SECRET_KEY=SECRET).start()
    assert "WARNING" not in server.log.read_text()


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"secret_key": (SECRET,)}, "SECRET_KEY has no effect"),
        ({"secret_key": ("short",), "api_keys": (b"any",)}, "it may be guessed"),
    ],
)
def test_a_weak_setting_is_warned_of(
    make_api: Callable[..., Api],
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, Any],
    warning: str,
) -> None:
    make_api(**settings)
    assert warning in caplog.text


def test_the_log_tells_which_key_called_and_holds_no_credential(
    make_server: Callable[..., Gunicorn], rehearsal: Rehearsal
) -> None:
    hashed = f"sha256:{hash_of(HASHED_KEY).hex()}"
    server = make_server(API_KEYS=f"{PLAIN_KEY},{hashed}", SECRET_KEY=SECRET).start()
    wrong = new_key()
    with server.api() as api:
        token = token_for(api, ANA)
        for value in (PLAIN_KEY, HASHED_KEY, token, wrong):
            call(api, "GET", f"/interview_status/{ANA.path}", None, key(value))
    server.stop()
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if '"route"' in line]
    callers = [line["caller"] for line in lines if "interview_status" in line["route"]]
    assert callers == [
        f"key {hash_of(PLAIN_KEY).hex()[:8]}",
        f"key {hash_of(HASHED_KEY).hex()[:8]}",
        "token",
        "",
    ]
    for secret in (PLAIN_KEY, HASHED_KEY, token, wrong, SECRET, hashed):
        assert secret not in log


def test_of_two_credentials_one_that_is_right_is_enough(keyed: Api) -> None:
    token = token_for(keyed, ANA)
    for bearer, api_key, status in (
        (PLAIN_KEY, "wrong", 200),
        ("wrong", PLAIN_KEY, 200),
        (token, PLAIN_KEY, 200),
        (token, "wrong", 403),
        ("wrong", "wrong", 401),
    ):
        headers = {**key(bearer), "X-API-Key": api_key}
        assert call(keyed, "GET", "/get_applicants/job-1", None, headers).status == status


def test_a_preflight_needs_no_key(keyed: Api) -> None:
    assert keyed.raw("OPTIONS", "/reply").status_code == 200


def test_what_does_not_exist_is_404_for_everybody(keyed: Api) -> None:
    for kind in CREDENTIALS:
        assert call(keyed, "GET", "/elsewhere", None, credential(keyed, kind)).status == 404
