"""Exports from the board: where a recruiter looks for them, and the same as the API's."""

import json
from collections.abc import Iterator

import pytest

from api import ANA
from boards import Board
from config import Config
from exported import documents_in, held, store_person, store_position, unpacked
from rooms import invited
from scored import put_position
from web.service import service

pytestmark = pytest.mark.both_databases


@pytest.fixture
def board(config: Config) -> Iterator[Board]:
    board = Board(config)
    put_position(board.api)
    yield board
    service(board.app).close()


def downloads(board: Board, path: str) -> dict[str, bytes]:
    """What the links of a page's exports lead to, by the files' names."""
    found = {}
    for link in board.get(path).links():
        if "/export." in link:
            answer = board.recruiter.client.get(link)
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "no-store"
            disposition = answer.headers["Content-Disposition"]
            assert disposition.startswith("attachment; ")
            found[link.rpartition("/")[2]] = answer.data
    return found


def test_the_page_of_an_applicant_has_the_applicants_export(board: Board) -> None:
    store_person(board.database, ANA)
    (link,) = [
        link
        for link in board.get(f"/board/positions/{ANA.access_key}").links()
        if "/interviews/" in link
    ]
    files = downloads(board, link)
    document = held(json.loads(files["export.json"]))
    assert document["name"] == ANA.name
    assert held(json.loads(unpacked(files["export.zip"])["interview.json"]))["name"] == ANA.name
    alone = board.api.get(f"/export_interview/{ANA.path}").body
    for changing in ("exported_at", "audit_events"):
        del document[changing], alone[changing]
    assert document == alone


def test_the_page_of_somebody_who_was_invited_has_their_export(board: Board) -> None:
    invited(board.api)
    (link,) = [
        link
        for link in board.get(f"/board/positions/{ANA.access_key}").links()
        if "/invitations/" in link
    ]
    files = downloads(board, link)
    document = held(json.loads(files["export.json"]))
    assert (document["name"], document["status"]) == (ANA.name, "uninitiated")
    assert set(files) == {"export.json", "export.zip"}


def test_the_page_of_a_position_has_the_export_of_all(board: Board) -> None:
    store_person(board.database, ANA)
    store_person(board.database, ANA.named("Mei"))
    files = downloads(board, f"/board/positions/{ANA.access_key}")
    found = list(documents_in(files["export.ndjson"].decode()))
    assert [one["kind"] for one in found[:3]] == ["position", "interview", "interview"]
    assert "interviews-00001.html" in unpacked(files["export.zip"])
    with board.database.reading() as session:
        rows = session.execute(
            "SELECT action FROM audit_events WHERE action LIKE :ending", {"ending": "%exported"}
        ).fetchall()
    assert rows == [("position.exported",)] * 2


@pytest.mark.parametrize(
    "path",
    [
        *("interviews/999/export.json", "interviews/999/export.zip"),
        *("invitations/999/export.json", "invitations/99999999999999999999/export.zip"),
        *("positions/nothing/export.ndjson", "positions/nothing/export.zip"),
    ],
)
def test_of_what_does_not_exist_there_is_a_page_that_says_so(board: Board, path: str) -> None:
    store_position(board.database, "other")
    page = board.get(f"/board/{path}")
    assert page.status == 404
    assert page.text
