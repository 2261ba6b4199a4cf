"""The board against what others have written, and against pages that are not its own."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from api import Applicant
from boards import Board, Page
from config import Config
from contract import path_of
from db import InterviewKey
from openai_api.rehearsal import Rehearsal
from pages.page import CONTENT_SECURITY_POLICY
from scorecards.queries import Counting, Scorecards
from scored import CLOSING, hold
from web.service import service

# What closes whatever it may stand in, and then does something.
HOSTILE = (
    "</textarea></title></option>'\"><script>alert(1)</script><img src=x onerror=alert(1)>"
    "<svg/onload=alert(1)><a href=javascript:alert(1)>{{77*91}}{% raw %}&lt;b&gt;<!--"
)
EVE = Applicant("job-1", HOSTILE, f"{HOSTILE.replace('/', '|')}@x")
KEY_OF_EVE = InterviewKey(EVE.access_key, EVE.name, EVE.email)
JOB = "/board/positions/job-1"

# Elements that the board's own templates have none of.
FOREIGN = {"img", "iframe", "object", "embed", "base", "style", "math", "b", "video"}


def hold_to_be_harmless(page: Page) -> None:
    """Nothing on the page came of text that somebody has written."""
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "alert(1)>" not in page.html
    assert "<!--" not in page.html
    assert "7007" not in page.text
    for tag, given in page.tags:
        assert tag not in FOREIGN
        if tag == "script":
            assert re.fullmatch(r"(\.\./)*static/[0-9a-f]{16}/[a-z]+\.js", given["src"])
        assert not [name for name in given if name.startswith("on") or name == "style"]
        for name in ("href", "action", "formaction", "src"):
            scheme = given.get(name, "").strip().lower()
            is_icon = tag == "link" and given.get("rel") == "icon"
            assert not scheme.startswith(("javascript:", "vbscript:", "//"))
            assert is_icon or not scheme.startswith("data:")


def shows(page: Page, text: str = HOSTILE) -> bool:
    return re.sub(r"\s+", " ", text) in re.sub(r"\s+", " ", unescape(page.html))


@pytest.fixture
def board(config: Config) -> Iterator[Board]:
    board = Board(replace(config, secret_key=("s" * 40,), max_key_chars=2000))
    yield board
    service(board.app).close()


@pytest.fixture
def hostile(board: Board, rehearsal: Rehearsal) -> Board:
    """A board on which every text is hostile, in a position, an interview and its scorecard."""
    answer = board.api.raw(
        "PUT",
        "/positions/job-1",
        json={
            "title": HOSTILE[:200],
            "plan": {
                "objective": HOSTILE,
                "questions": [{"text": HOSTILE}],
                "language": HOSTILE[:100],
            },
            "rubric": {
                "criteria": [
                    {
                        "id": f"c{number}",
                        "title": HOSTILE[:200],
                        "definition": HOSTILE,
                        "weight": 1 + number,
                        "anchors": {str(step): f"{step}{HOSTILE}" for step in range(1, 6)},
                    }
                    for number in range(3)
                ],
                "weightsRationale": HOSTILE,
            },
            "notice": {"text": HOSTILE, "language": HOSTILE[:100]},
            "metadata": {HOSTILE[:100]: HOSTILE},
        },
    )
    assert answer.status_code == 200
    hold(board.api, rehearsal, HOSTILE, applicant=EVE)
    rubric = answer.get_json()["position"]["rubric"]
    (said,) = [one["id"] for one in board.api.messages(EVE) if one["role"] == "user"]
    span = {"message_id": said, "start": 3, "end": 90, "polarity": "supports"}
    criteria: list[dict[str, Any]] = [
        {
            "id": f"c{number}",
            "title": HOSTILE,
            "state": ("scored", "needs_review", "insufficient_evidence")[number],
            "score": (4, None, None)[number],
            "runs": [4, 4, 4],
            "unmasked_runs": [5],
            "rationale": HOSTILE,
            "evidence": [{**span, "quote": HOSTILE[3:90]}],
            "machine_state": "scored",
            "machine_score": 4,
        }
        for number in range(3)
    ]
    noted = {**EVE.fields, "message_id": said, "note": HOSTILE}
    assert board.api.post("/correct_message", noted).status == 200
    flag = {"type": "injection_suspected", "message_id": said, "start": 50, "end": len(HOSTILE)}
    refused = {"criterion": "c0", "message_id": said, "quote": HOSTILE, "reason": "not_found"}
    record = {
        "transcript_sha256": "0" * 64,
        "rubric": {"version": 1, "sha256": "0" * 64, "body": rubric},
        "scorer": {"models": ["m"], "runs": 3, "prompt_version": 1, "prompt_sha256": "0" * 64},
        "corrections": [{"message_id": said, "note": HOSTILE, "created_at": "2026-01-01"}],
        "runs": [],
    }
    with board.database.transaction(KEY_OF_EVE) as session:
        scorecards = Scorecards(session)
        scorecards.add("a" * 32, KEY_OF_EVE, "0" * 64, 1, "0" * 64, record)
        scorecards.finish(
            "a" * 32,
            Counting("needs_review", 4.0, 0.5, {"c0": 4}),
            {
                "criteria": criteria,
                "flags": [flag],
                "note_flags": [flag],
                "rejected_evidence": [refused],
            },
            record,
        )
    review = {"id": "a" * 32, "criterion": "c0", "score": 2, "reason": HOSTILE, "reviewer": HOSTILE}
    assert board.api.post("/review_scorecard", {**EVE.fields, **review}).status == 200
    decision = {"decision": "potential", "reason": HOSTILE, "reviewer": HOSTILE}
    assert board.api.post("/decide", {**EVE.fields, **decision}).status == 200
    zoe = {**EVE.fields, "name": f"Zoe{HOSTILE}", "metadata": {HOSTILE[:100]: HOSTILE}}
    assert board.api.post("/invitations", zoe).status == 200
    for name in (EVE.name, zoe["name"], f"Max{HOSTILE}"):
        who = {**EVE.fields, "name": name}
        assert board.api.post("/consent", {**who, "version": 1}).status == 200
        assert board.api.post("/another_way", who).status == 200
    return board


def find(board: Board, part: str) -> str:
    return next(link for link in board.get(JOB).links() if part in link)


@pytest.mark.both_databases
def test_what_others_have_written_is_shown_as_text_on_every_page(hostile: Board) -> None:
    interview, invitation = find(hostile, "/interviews/"), find(hostile, "/invitations/")
    number = interview.rpartition("/")[2]
    for path in (
        *("/board", JOB, f"{JOB}?sort=name", f"{JOB}/edit", f"{JOB}/invite", f"{JOB}/overview"),
        *(f"{JOB}/trail", interview, invitation, find(hostile, "/other_ways/")),
    ):
        page = hostile.get(path)
        assert page.status == 200
        hold_to_be_harmless(page)
        assert shows(page, HOSTILE[:200]), path
    page = hostile.get(f"{JOB}/compare?i={number}&i={number}")
    hold_to_be_harmless(page)
    page = hostile.get(interview)
    assert page.html.count("<mark") == 4  # one of them in the note
    fields = hostile.get(f"{JOB}/edit").form(having="title").fields
    for name in ("title", "objective", "q0_text", "c0_title", "c1_definition", "c2_5", "notice"):
        assert HOSTILE[:200] in fields[name]


@pytest.mark.both_databases
def test_two_hostile_applicants_are_compared_as_text(hostile: Board, rehearsal: Rehearsal) -> None:
    other = EVE.named(f"Ben{HOSTILE}")
    hold(hostile.api, rehearsal, CLOSING, applicant=other)
    numbers = [
        link.rpartition("/")[2] for link in hostile.get(JOB).links() if "/interviews/" in link
    ]
    page = hostile.get(f"{JOB}/compare?i={numbers[0]}&i={numbers[1]}")
    hold_to_be_harmless(page)
    assert shows(page, other.name)


@pytest.mark.parametrize(
    "query", [f"q={{}}&{rest}" for rest in ("", "sort=total", "state=invited", "page=2")]
)
def test_what_an_address_says_is_text(hostile: Board, query: str) -> None:
    text = quote(HOSTILE, safe="")
    for path in (
        f"{JOB}?{query.format(text)}",
        f"{JOB}?state={text}&decision={text}&sort={text}&page={text}&{text}={text}",
        f"/board?after={text}",
        f"/board/positions/{text.replace('%2F', '')}",
        f"{JOB}/compare?i={text}",
        f"/board/sign_in?next={text}",
    ):
        hold_to_be_harmless(hostile.get(path))


@pytest.mark.parametrize("path", ["/board/new_position", f"{JOB}/edit", f"{JOB}/invite"])
def test_what_is_typed_into_a_form_comes_back_as_text(hostile: Board, path: str) -> None:
    first = hostile.get(path)
    for index, form in enumerate(first.forms):
        if form.action or set(form.fields) <= {"csrf_token", "open"}:
            continue
        typed = {name: HOSTILE for name in form.fields if name not in ("csrf_token", "many")}
        # A field that is wrong in any case, lest the form be carried out.
        typed["minutes" if "minutes" in typed else "days"] = HOSTILE
        page = hostile.send(first, first.forms[index], **typed)
        assert page.status in (400, 409)
        hold_to_be_harmless(page)
        assert shows(page)


@pytest.mark.parametrize("end", ["/review", "/decide"])
def test_what_is_typed_about_an_applicant_comes_back_as_text(hostile: Board, end: str) -> None:
    page = hostile.get(find(hostile, "/interviews/"))
    form = page.form(end)
    for wrong in sorted(set(form.fields) - {"csrf_token"} | {"score", "decision"}):
        typed = {"reason": HOSTILE, "reviewer": HOSTILE, wrong: HOSTILE}
        answer = hostile.send(page, form, **{"score": HOSTILE, "decision": HOSTILE, **typed})
        assert answer.status == 400
        hold_to_be_harmless(answer)


def test_links_are_shown_and_saved_as_text(hostile: Board) -> None:
    page = hostile.get(f"{JOB}/invite")
    made = hostile.send(page, page.form(having="name"), name=HOSTILE, email="a'\"<b>@x")
    hold_to_be_harmless(made)
    lines = "=1+1,<script>@x\n-2,'\"@y"
    made = hostile.send(page, page.form(having="many"), lines=lines)
    hold_to_be_harmless(made)
    assert "'=1+1" in unescape(made.html)


# Forms that are not the board's own.

POSTS = [
    "/board/new_position",
    f"{JOB}/edit",
    f"{JOB}/open",
    f"{JOB}/invite",
    "/board/invitations/1/renew",
    "/board/invitations/1/withdraw",
    "/board/interviews/{interview}/score",
    "/board/interviews/{interview}/review",
    "/board/interviews/{interview}/decide",
    "/board/sign_in",
    "/board/sign_out",
]


def test_every_form_is_among_those_that_are_tried(board: Board) -> None:
    tried = {
        re.sub(r"\d+|\{interview\}", "{number}", path.replace("job-1", "{access_key}"))
        for path in POSTS
    }
    assert tried == {
        path_of(rule)
        for rule in board.app.url_map.iter_rules()
        if rule.rule.startswith("/board") and "POST" in (rule.methods or set())
    }


@pytest.mark.parametrize("token", [None, "", "wrong", "signed by another"])
@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_the_token_of_a_page_changes_nothing(
    hostile: Board, path: str, token: str | None
) -> None:
    number = find(hostile, "/interviews/").rpartition("/")[2]
    before = hostile.version()
    fields = {
        "title": "Forged",
        "kind": "prompt",
        "prompt": "Ask.",
        "open": "no",
        "key": "key",
        "name": "Forged",
        "email": "forged@example.com",
        "days": "14",
        "again": "yes",
        "id": "a" * 32,
        "criterion": "c0",
        "score": "5",
        "decision": "selected",
        "reason": "Forged",
        "reviewer": "Forged",
    }
    if token == "signed by another":
        other = Board(replace(service(hostile.app).config, secret_key=("t" * 40,)))
        token = other.get("/board/new_position").form(having="title").fields["csrf_token"]
        service(other.app).close()
    if token is not None:
        fields["csrf_token"] = token
    answer = hostile.recruiter.client.post(path.format(interview=number), data=fields)
    assert answer.status_code == 400
    assert "nothing was stored" in answer.text
    assert hostile.version() == before


# Headers.


def test_every_page_is_kept_nowhere_and_sets_cookies_for_the_board_alone(hostile: Board) -> None:
    number = find(hostile, "/interviews/").rpartition("/")[2]
    for rule in hostile.app.url_map.iter_rules():
        if not rule.rule.startswith("/board") or "GET" not in (rule.methods or set()):
            continue
        path = rule.rule.replace("<access_key>", "job-1")
        path = path.replace("<int:number>", number if "interviews" in path else "1")
        answer = hostile.recruiter.client.get(path)
        is_known = "unknown" not in path
        assert answer.status_code in ((200, 204, 303) if is_known else (404,)), path
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        for cookie in answer.headers.getlist("Set-Cookie"):
            for part in ("Path=/board", "HttpOnly", "SameSite=Strict"):
                assert part in cookie, path
        if answer.mimetype == "text/html" and answer.status_code == 200:
            assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_a_page_that_does_not_exist_and_one_that_is_too_large_are_safe_as_well(
    hostile: Board,
) -> None:
    hold_to_be_harmless(hostile.get("/board/interviews/12345678"))
    page = hostile.get(f"{JOB}/invite")
    large = "x" * (service(hostile.app).config.max_body_bytes + 1)
    answer = hostile.send(page, page.form(having="many"), lines=large)
    assert answer.status == 413
    hold_to_be_harmless(answer)
