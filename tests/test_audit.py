"""The audit trail: each thing that is done leaves its event, with who did it and without a word."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from access.api_keys import hash_of
from api import ANA, PROMPT, Api
from audited import add_events, change, problems, subject_of, told, trail
from boards import KEY, OTHER_KEY, WITH_KEYS, Board
from config import Config
from db import AuditTrail, Database, InterviewKey, open_database
from openai_api.rehearsal import Behaviour, Rehearsal
from rooms import secret_of
from scored import CLOSING, RUBRIC
from storage.sqlite.driver import sqlite3
from waiting import wait_until
from web.service import service

pytestmark = pytest.mark.both_databases

Json = Any
MakeApi = Callable[..., Api]

AUTHORIZED = {"X-API-Key": KEY}
OTHER = {"X-API-Key": OTHER_KEY}
POSITION = {"title": "Nurse", "prompt": PROMPT, "rubric": RUBRIC}
SAID = "I check the patient's blood pressure before I give any of the medicine."


def actor_of(key: str) -> str:
    return f"key {hash_of(key).hex()[:8]}"


RECRUITER, COLLEAGUE = actor_of(KEY), actor_of(OTHER_KEY)


@pytest.fixture
def board(config: Config) -> Iterator[Board]:
    board = Board(Config(**{**vars(config), **WITH_KEYS}))
    yield board
    service(board.app).close()


def post(api: Api, path: str, body: Json, headers: Json = AUTHORIZED, status: int = 200) -> Json:
    answer = api.send(
        "POST",
        path,
        data=json.dumps(body),
        headers={"Content-Type": "application/json", **headers},
    )
    assert answer.status == status, answer
    return answer.body


def put(api: Api, access_key: str = ANA.access_key, **fields: Any) -> None:
    answer = api.send(
        "PUT",
        f"/positions/{access_key}",
        data=json.dumps({**POSITION, **fields}),
        headers={"Content-Type": "application/json", **AUTHORIZED},
    )
    assert answer.status == 200, answer


def events(api: Api, since: int = 0) -> list[Json]:
    return trail(api, headers=AUTHORIZED)[since:]


def token(api: Api) -> Json:
    return {"Authorization": f"Bearer {post(api, '/applicant_token', ANA.fields)['token']}"}


def end(api: Api, rehearsal: Rehearsal, headers: Json = AUTHORIZED) -> None:
    rehearsal.misbehave(Behaviour(message={"content": CLOSING}))
    post(api, "/reply", {**ANA.fields, "message": SAID}, headers)


def test_an_interview_leaves_its_start_and_its_end_with_who_held_it(
    board: Board, rehearsal: Rehearsal
) -> None:
    put(board.api)
    own = token(board.api)
    post(board.api, "/start_interview", ANA.fields, own)
    post(board.api, "/reply", {**ANA.fields, "message": "Hello"}, own)
    end(board.api, rehearsal, own)
    post(board.api, "/revoke_applicant_token", ANA.fields)
    found = events(board.api)
    assert told(found) == [
        (RECRUITER, "position.put"),
        (RECRUITER, "token.issued"),
        ("applicant", "interview.started"),
        ("applicant", "interview.finished"),
        (RECRUITER, "token.revoked"),
    ]
    assert [event["subject"] for event in found] == ["", *[subject_of()] * 4]
    assert found[0]["detail"] == {
        "rubric_version": 1,
        "notice_version": 1,
        "retention_days": None,
    }
    assert set(found[1]["detail"]) == {"expires_at"}
    assert found[2]["detail"] == found[3]["detail"] == {"model": "gpt-4o-mini"}


def test_where_everybody_may_do_everything_anyone_has_done_it(
    api: Api, rehearsal: Rehearsal
) -> None:
    assert api.start().status == 200
    assert api.messages()
    rehearsal.misbehave(Behaviour(message={"content": CLOSING}))
    assert api.reply("Hello").status == 200
    assert told(trail(api)) == [("anyone", "interview.started"), ("anyone", "interview.finished")]


def test_a_start_that_is_also_the_end_leaves_both(api: Api, rehearsal: Rehearsal) -> None:
    rehearsal.misbehave(Behaviour(message={"content": CLOSING}))
    assert api.start().status == 200
    assert [action for _, action in told(trail(api))] == ["interview.started", "interview.finished"]


def test_who_asks_for_a_stream_has_done_it_too(board: Board, rehearsal: Rehearsal) -> None:
    """The model is then asked, and its answer stored, in another thread."""
    put(board.api)
    own = token(board.api)
    for path, body in (
        ("/start_interview", ANA.fields),
        ("/reply", {**ANA.fields, "message": "Hello"}),
    ):
        if path == "/reply":
            rehearsal.misbehave(Behaviour(message={"content": CLOSING}))
        answer = board.api.raw(
            "POST", path, json=body, headers={**own, "Accept": "text/event-stream"}
        )
        assert answer.status_code == 200
        assert "event: done" in answer.text
    assert told(events(board.api, 2)) == [
        ("applicant", "interview.started"),
        ("applicant", "interview.finished"),
    ]


def test_what_was_not_done_leaves_nothing(api: Api, rehearsal: Rehearsal) -> None:
    rehearsal.misbehave(Behaviour(status=400))
    assert api.start().status == 500
    assert api.reply("Hello").status == 404
    assert api.messages() == []
    assert trail(api) == []
    assert api.start().status == 200
    assert api.start().status == 400
    assert api.reply("Hello").status == 200
    assert [action for _, action in told(trail(api))] == ["interview.started"]


def test_each_access_key_has_a_trail_of_its_own(api: Api) -> None:
    assert api.start().status == 200
    assert api.start(replace(ANA, access_key="job-2")).status == 200
    for access_key in ("job-1", "job-2"):
        assert [event["id"] for event in trail(api, access_key)] == [1]
    assert trail(api, "job-3") == []


# Reads.


def test_a_transcript_that_a_key_reads_leaves_the_key_and_an_applicants_own_read_nothing(
    board: Board,
) -> None:
    api = board.api
    path = f"/get_messages/{ANA.path}"
    for headers in (AUTHORIZED, OTHER):  # there is none yet
        assert api.send("GET", path, headers=headers).status == 200
    put(api)
    own = token(api)
    post(api, "/start_interview", ANA.fields, own)
    for headers in (own, AUTHORIZED, OTHER, OTHER, own):
        assert api.send("GET", path, headers=headers).status == 200
    assert api.send("GET", f"/interview_status/{ANA.path}", headers=AUTHORIZED).status == 200
    assert api.send("GET", path, headers={"X-API-Key": "wrong"}).status == 401
    assert told(events(api, 3)) == [
        (RECRUITER, "transcript.read"),
        (COLLEAGUE, "transcript.read"),
        (COLLEAGUE, "transcript.read"),
    ]


def test_the_board_reads_by_the_key_that_signed_in_and_an_open_page_reads_once(
    board: Board,
) -> None:
    put(board.api)
    post(board.api, "/start_interview", ANA.fields)
    board.recruiter.sign_in(OTHER_KEY)
    (place,) = [
        link
        for link in board.get(f"/board/positions/{ANA.access_key}").links()
        if "/interviews/" in link
    ]
    for _ in range(3):
        assert board.get(place).status == 200
    assert told(events(board.api, 2)) == [(COLLEAGUE, "transcript.read")]
    for download in ("/interview.json", "/transcript.csv"):
        assert board.get(place + download).status == 200
    assert told(events(board.api, 3)) == [(COLLEAGUE, "transcript.read")] * 2


@contextmanager
def locked(config: Config) -> Iterator[None]:
    """Let nobody add an event while the block runs."""
    if config.is_postgresql:
        with psycopg.connect(config.database_url) as connection:
            connection.execute("LOCK TABLE audit_events IN EXCLUSIVE MODE")
            yield
            connection.rollback()
    else:
        path = config.database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield


def test_a_read_is_answered_and_the_log_says_that_its_event_is_missing(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board(Config(**{**vars(config), **WITH_KEYS, "database_lock_timeout": 0.2}))
    put(board.api)
    post(board.api, "/start_interview", ANA.fields)
    link = post(board.api, "/invitations", ANA.fields)["link"]
    board.recruiter.sign_in()
    known = events(board.api)
    with locked(config):
        answer = board.api.send("GET", f"/get_messages/{ANA.path}", headers=AUTHORIZED)
        assert answer.status == 200
        assert len(answer.body["messages"]) == 2
        opened = post(board.api, "/open_invitation", {"secret": secret_of(link)}, {})
        assert opened["token"]
        assert board.get("/board/interviews/1").status == 200
        # What was linked before can be read.
        assert events(board.api) == known
        post(board.api, "/decide", DECISION, status=503)
        post(board.api, "/applicant_token", ANA.fields, status=503)
    assert events(board.api) == known
    for action, actor in (
        ("transcript.read", RECRUITER),
        ("invitation.opened", "applicant"),
    ):
        missing = f"An event is missing in the audit trail: {action} by {actor}, of {subject_of()}"
        assert missing in caplog.text
    assert ANA.name not in caplog.text
    service(board.app).close()


def test_what_cannot_be_noted_is_not_done(board: Board, config: Config) -> None:
    put(board.api)
    with service(board.app).database.transaction() as session:
        session.execute("ALTER TABLE audit_events RENAME TO gone", {})
    answer = board.api.raw("POST", "/start_interview", json=ANA.fields, headers=AUTHORIZED)
    assert answer.status_code in (500, 503)
    with service(board.app).database.transaction() as session:
        session.execute("ALTER TABLE gone RENAME TO audit_events", {})
    status = board.api.send("GET", f"/interview_status/{ANA.path}", headers=AUTHORIZED)
    assert status.body == {"status": "uninitiated"}


# Invitations, positions, scorecards, decisions.


def test_an_invitation_leaves_that_it_was_made_opened_and_revoked(board: Board) -> None:
    put(board.api)
    secret = secret_of(post(board.api, "/invitations", ANA.fields)["link"])
    for _ in range(3):
        post(board.api, "/open_invitation", {"secret": secret}, {})
    post(board.api, "/open_invitation", {"secret": "wrong"}, {}, 404)
    post(board.api, "/revoke_invitation", ANA.fields, OTHER)
    post(board.api, "/open_invitation", {"secret": secret}, {}, 410)
    found = events(board.api, 1)
    assert told(found) == [
        (RECRUITER, "invitation.made"),
        ("applicant", "invitation.opened"),
        (COLLEAGUE, "invitation.revoked"),
    ]
    assert {event["subject"] for event in found} == {subject_of()}
    assert set(found[0]["detail"]) == {"expires_at"}
    assert secret not in str(found)


def test_invitations_of_the_board_are_its_keys(board: Board) -> None:
    put(board.api)
    board.recruiter.sign_in()
    page = board.get(f"/board/positions/{ANA.access_key}/invite")
    many = page.form(having="lines")
    board.send(page, many, lines="Ana,a@example.com\nMei,m@example.com", many="yes")
    board.send(
        board.get("/board/invitations/1"), board.get("/board/invitations/1").form("/withdraw")
    )
    found = events(board.api, 1)
    made, revoked = (RECRUITER, "invitation.made"), (RECRUITER, "invitation.revoked")
    assert told(found) == [made, made, revoked]
    assert found[0]["subject"] == found[2]["subject"] != found[1]["subject"]


def test_a_position_leaves_its_rubrics_versions_and_when_it_is_closed(board: Board) -> None:
    put(board.api)
    put(board.api, title="Senior nurse", isOpen=True)
    put(board.api, rubric={**RUBRIC, "minCoverage": 0.5}, isOpen=False)
    put(board.api, rubric=None, isOpen=False)
    board.recruiter.sign_in(OTHER_KEY)
    for is_open in ("yes", "yes", "no"):
        page = board.get(f"/board/positions/{ANA.access_key}")
        board.send(page, page.form("/open"), open=is_open)
    put(board.api, isOpen=True)
    found = events(board.api)
    assert told(found) == [
        (RECRUITER, "position.put"),
        (RECRUITER, "position.put"),
        (RECRUITER, "position.put"),
        (RECRUITER, "position.closed"),
        (RECRUITER, "position.put"),
        (COLLEAGUE, "position.opened"),
        (COLLEAGUE, "position.closed"),
        (RECRUITER, "position.put"),
        (RECRUITER, "position.opened"),
    ]
    versions = [
        event["detail"].get("rubric_version", "") for event in found if event["detail"] != {}
    ]
    assert versions == [1, 1, 2, None, 3]


def test_a_position_that_is_closed_from_the_first_leaves_that(board: Board) -> None:
    put(board.api, isOpen=False)
    assert [action for _, action in told(events(board.api))] == ["position.put", "position.closed"]


DECISION = {**ANA.fields, "decision": "rejected", "reason": "Too few years.", "reviewer": "Mei"}


@pytest.mark.parametrize(
    ("behaviour", "ended"),
    [
        (Behaviour(), "scorecard.ready"),
        (Behaviour(rating="differing"), "scorecard.needs_review"),
        (Behaviour(status=400), "scorecard.failed"),
    ],
    ids=["ready", "needs review", "failed"],
)
def test_a_scorecard_leaves_who_asked_and_what_became_of_it(
    make_api: MakeApi, rehearsal: Rehearsal, behaviour: Behaviour, ended: str
) -> None:
    api = make_api(works=True, **WITH_KEYS)
    put(api)
    post(api, "/start_interview", ANA.fields)
    end(api, rehearsal)
    rehearsal.default = behaviour
    known = len(events(api))
    scorecard_id = post(api, "/score_interview", ANA.fields, OTHER, 202)["scorecard_id"]
    found = ended_scorecard(api, known)
    assert told(found) == [(COLLEAGUE, "scorecard.requested"), ("system", ended)]
    assert [event["detail"] for event in found] == [
        {"scorecard_id": scorecard_id, "rubric_version": 1}
    ] * 2
    if ended != "scorecard.failed":
        review = {"id": scorecard_id, "criterion": "teamwork", "score": 5, "reason": "Hers."}
        post(api, "/review_scorecard", {**ANA.fields, **review, "reviewer": "Mei"})
        (reviewed,) = events(api, known + 2)
        assert told([reviewed]) == [(RECRUITER, "scorecard.reviewed")]
        assert reviewed["detail"] == {"scorecard_id": scorecard_id}


def ended_scorecard(api: Api, known: int) -> list[Json]:
    def look() -> list[Json]:
        found = events(api, known)
        return found if len(found) > 1 else []

    return wait_until(look)


def test_an_automatic_scorecard_is_the_systems_and_not_the_applicants(
    board: Board, rehearsal: Rehearsal
) -> None:
    put(board.api, scoring="automatic")
    own = token(board.api)
    post(board.api, "/start_interview", ANA.fields, own)
    end(board.api, rehearsal, own)
    assert told(events(board.api, 3)) == [
        ("applicant", "interview.finished"),
        ("system", "scorecard.requested"),
    ]


def test_a_decision_leaves_what_was_decided_and_no_reason(board: Board) -> None:
    post(board.api, "/start_interview", {**ANA.fields, "prompt": PROMPT})
    post(board.api, "/decide", DECISION, OTHER)
    (made,) = events(board.api, 1)
    assert told([made]) == [(COLLEAGUE, "decision.made")]
    assert made["detail"] == {"decision": "rejected"}
    assert made["subject"] == subject_of()


def test_no_column_has_a_name_an_address_or_a_word(
    make_api: MakeApi, config: Config, rehearsal: Rehearsal
) -> None:
    board = Board(Config(**{**vars(config), **WITH_KEYS}))
    words = ("Zebulon", "zebulon@", "Quokka", "Quagga", "Okapi", "Ocelot")
    key = {"accessKey": "Aardvark", "name": "Zebulon Q.", "email": "zebulon@example.com"}
    put(board.api, "Aardvark", title="Quokka", prompt="Quagga", metadata={"Okapi": "Ocelot"})
    secret = secret_of(post(board.api, "/invitations", {**key, "metadata": {"a": "Okapi"}})["link"])
    post(board.api, "/open_invitation", {"secret": secret}, {})
    post(board.api, "/start_interview", key)
    rehearsal.misbehave(Behaviour(message={"content": f"Ocelot. {CLOSING}"}))
    post(board.api, "/reply", {**key, "message": "Okapi " + SAID})
    post(board.api, "/score_interview", key, status=202)
    post(
        board.api,
        "/decide",
        {**key, **DECISION, **key, "reason": "Okapi", "reviewer": "Ocelot"},
    )
    assert len(trail(board.api, "Aardvark", AUTHORIZED)) == 7
    with service(board.app).database.reading() as session:
        for table in ("audit_events", "audit_heads"):
            text = str(session.execute(f"SELECT * FROM {table}", {}).fetchall()).casefold()
            for word in (*words, "Aardvark"):
                assert word.casefold() not in text
    service(board.app).close()


# How it is read.


@pytest.fixture
def many(api: Api, config: Config) -> Api:
    """The API with a trail of more events than a page of a thousand has."""
    database = open_database(config)
    add_many(database, 1005)
    database.close()
    return api


def add_many(database: Database, count: int) -> None:
    with database.transaction() as session:
        for number in range(count):
            interview = InterviewKey("job-1", f"Ana {number % 2}", "ana@example.com")
            AuditTrail(session).add("job-1", "transcript.read", interview, number=number)


def test_the_trail_is_read_page_by_page(many: Api) -> None:
    first = many.get("/audit/job-1").body["events"]
    assert [event["id"] for event in first] == list(range(1, 101))
    some = many.get("/audit/job-1?limit=3&after=1000").body["events"]
    assert [event["id"] for event in some] == [1001, 1002, 1003]
    assert len(many.get("/audit/job-1?limit=1000&after=5").body["events"]) == 1000
    assert many.get("/audit/job-1?after=1005").body["events"] == []
    assert [event["detail"]["number"] for event in trail(many)] == list(range(1005))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "after=-1", "after=1e3", "after=", "format=xml"]
)
def test_a_query_that_makes_no_sense_is_named(api: Api, query: str) -> None:
    answer = api.get(f"/audit/job-1?{query}")
    assert answer.status == 400
    assert answer.body["error"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("by", ["Accept", "format"])
def test_all_of_it_is_csv_for_those_who_ask(many: Api, by: str) -> None:
    headers = {"Accept": "text/csv"} if by == "Accept" else {}
    path = "/audit/job-1" if by == "Accept" else "/audit/job-1?format=csv"
    answer = many.raw("GET", path, headers=headers)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Vary"] == "Accept"
    assert "attachment" in answer.headers["Content-Disposition"]
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head == ["id", "at", "actor", "action", "subject", "detail", "hash"]
    known = trail(many)
    assert [row[0] for row in rows] == [str(event["id"]) for event in known]
    assert [row[6] for row in rows] == [event["hash"] for event in known]
    assert json.loads(rows[7][5]) == {"number": 7}
    some = many.raw("GET", "/audit/job-1?format=csv&limit=2&after=3").text
    assert [row[0] for row in csv.reader(io.StringIO(some))][1:] == ["4", "5"]


def test_a_trail_that_was_damaged_is_still_read(many: Api, config: Config) -> None:
    trail(many)
    database = open_database(config)
    change(database, "UPDATE audit_events SET detail = '{' WHERE position = :position")
    assert many.get("/audit/job-1").body["events"][0]["detail"] == {}
    assert problems(database)
    add_events(database, 1)
    assert many.get("/audit/job-1?after=1005").body["events"][0]["detail"] == {"number": 0}
    database.close()
