"""The audit trail on the board: of a position, page by page, and of one applicant."""

import csv
import io
from collections.abc import Iterator

import pytest

from api import ANA
from audited import change, subject_of, trail
from boards import AUTHORIZED, KEY, WITH_KEYS, Board
from config import Config
from openai_api.rehearsal import Rehearsal
from records.audit_chain import link
from recruiting import put, rubric
from rooms import secret_of
from scored import hold
from web.service import service

pytestmark = pytest.mark.both_databases

JOB = f"/board/positions/{ANA.access_key}"
MEI = ANA.named("Mei <b>Lin</b>")


@pytest.fixture
def board(config: Config) -> Iterator[Board]:
    board = Board(config)
    put(board.api, rubric=rubric())
    yield board
    service(board.app).close()


def test_a_positions_trail_says_who_has_done_what_the_newest_first(
    board: Board, rehearsal: Rehearsal
) -> None:
    hold(board.api, rehearsal, "Hello")
    link = board.api.post("/invitations", MEI.fields).body["link"]
    assert board.api.post("/open_invitation", {"secret": secret_of(link)}).status == 200
    decision = {"decision": "rejected", "reason": "No.", "reviewer": "Rosa Lim"}
    assert board.api.post("/decide", {**ANA.fields, **decision}).status == 200
    page = board.get(f"{JOB}/trail")
    lines = [
        "6", "Decision rejected", "Ana María",
        "5", "Invitation opened", "Mei <b>Lin</b>",
        "4", "Invitation made until", "Mei <b>Lin</b>",
        "3", "Interview finished model gpt-4o-mini", "Ana María",
        "2", "Interview started model gpt-4o-mini", "Ana María",
        "1", "Position saved rubric version 1",
    ]  # fmt: skip
    rest = page.text.partition("Applicant 6")[2]
    rest = f"6{rest}"
    for words in lines:
        assert words in rest, words
        rest = rest.partition(words)[2]
    assert "Anyone (there are no keys)" in page.text
    assert "Rosa" not in page.text
    ends = {link.rpartition("/board/")[2] for link in page.links()}
    assert {"interviews/1", "invitations/1"} <= ends


def test_a_long_trail_has_pages(board: Board) -> None:
    for number in range(105):
        assert board.api.post("/invitations", ANA.named(f"A{number}").fields).status == 200
    first = board.get(f"{JOB}/trail")
    assert ">A104</a>" in first.html
    assert ">A4</a>" not in first.html
    assert "Newest" not in first.text
    (older,) = [link for link in first.links() if "before=" in link]
    second = board.get(older)
    assert ">A4</a>" in second.html
    assert "Position saved" in second.text
    assert ">A104</a>" not in second.html
    assert "Older events" not in second.text
    for odd in ("x", "", "9" * 30, "-1"):
        assert ">A104</a>" in board.get(f"{JOB}/trail?before={odd}").html


def test_of_an_applicant_who_is_not_there_any_more_the_digest_is_left(board: Board) -> None:
    assert board.api.start().status == 200
    link(board.database)
    with board.database.transaction() as session:
        session.execute("DELETE FROM messages", {})
    page = board.get(f"{JOB}/trail")
    assert ANA.name not in page.text
    assert subject_of()[:12] in page.text


def test_an_applicants_page_has_their_own_events_and_nobody_elses(
    config: Config, rehearsal: Rehearsal
) -> None:
    board = Board(Config(**{**vars(config), **WITH_KEYS}))
    for applicant in (ANA, MEI):
        body = {**applicant.fields, "prompt": "You interview."}
        assert board.api.raw("POST", "/start_interview", json=body, headers=AUTHORIZED).text
    revoked = board.api.raw("POST", "/revoke_applicant_token", json=ANA.fields, headers=AUTHORIZED)
    assert revoked.status_code == 200
    board.recruiter.sign_in(KEY)
    page = board.get("/board/interviews/1")
    assert "Trail (2)" in page.text
    assert "Token revoked" in page.text
    page = board.get("/board/interviews/1")
    assert "Trail (3)" in page.text
    assert "Transcript read" in page.text
    other = board.get("/board/interviews/3")
    assert "Trail (1)" in other.text
    assert "Token revoked" not in other.text
    service(board.app).close()


def test_a_positions_trail_is_a_file_of_csv(board: Board) -> None:
    assert board.api.start().status == 200
    answer = board.get(f"{JOB}/trail.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.html)))
    assert [row[3] for row in rows] == ["action", "position.put", "interview.started"]
    assert [row[6] for row in rows[1:]] == [event["hash"] for event in trail(board.api)]


def test_where_there_is_no_position_there_is_no_page(board: Board) -> None:
    for end in ("trail", "trail.csv"):
        assert board.get(f"/board/positions/none/{end}").status == 404


def test_a_trail_that_was_damaged_is_still_shown(board: Board) -> None:
    assert board.api.start().status == 200
    link(board.database)
    for detail in ("{", "[1]", '{"decision": "<b>x"}', '{"new": [1]}'):
        change(
            board.database,
            "UPDATE audit_events SET detail = :detail, actor = '<i>', action = '<u>'"
            " WHERE position = :position",
            detail=detail,
        )
        page = board.get(f"{JOB}/trail")
        assert page.status == 200
        assert "<i>" not in page.html
        assert "<u>" not in page.html
        assert "<b>x" not in page.html
