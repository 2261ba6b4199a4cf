"""The recruiter's board by its pages and forms, as a browser without scripts uses them."""

import csv
import io
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api import ANA, Api, Applicant, over_flask
from app import create_app
from boards import Recruiter
from config import Config
from openai_api.rehearsal import Rehearsal
from scored import RUBRIC, hold, put_position, scored
from web.service import service

HOSTILE = "</textarea></title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}"
WORDS = "I counted the breaths of one patient again, and then I called the doctor at once."


@pytest.fixture
def recruiter(config: Config) -> Iterator[Recruiter]:
    app = create_app(config)
    service(app).worker.start()
    yield Recruiter(app.test_client())
    service(app).close()


@pytest.fixture
def api(recruiter: Recruiter) -> Api:
    assert isinstance(recruiter.client, FlaskClient)
    return over_flask(recruiter.client.application.test_client())


def a_scored_interview(api: Api, rehearsal: Rehearsal, recruiter: Recruiter) -> str:
    """The path of an interview that is scored."""
    put_position(api)
    hold(api, rehearsal, WORDS)
    scored(api)
    page = recruiter.get(f"/board/positions/{ANA.access_key}")
    return next(link for link in page.links() if "/interviews/" in link).removeprefix(
        recruiter.base
    )


@pytest.mark.both_databases
def test_a_position_is_made_edited_closed_and_opened(recruiter: Recruiter, api: Api) -> None:
    page = recruiter.get("/board/new_position")
    fields = {
        "title": "Nurse",
        "access_key": "nurse-1",
        "objective": "Find a nurse.",
        "q1_text": "Why nursing?",
        "q1_follow_ups": "2",
        "minutes": "30",
    }
    page = recruiter.send(page, page.form(having="title"), **fields)
    assert page.url.endswith("/board/positions/nurse-1")
    stored = api.get("/positions/nurse-1").body["position"]
    assert stored["plan"]["questions"] == [{"text": "Why nursing?", "followUps": 2}]
    assert (stored["timeLimit"], stored["rubric"], stored["isOpen"]) == (1800, None, True)

    page = recruiter.get("/board/positions/nurse-1/edit")
    form = page.form(having="title")
    page = recruiter.send(page, form, action="add-criterion")
    criterion = {"c0_title": "Care", "c0_definition": "Cares.", "c0_1": "Not.", "c0_3": "Some."}
    page = recruiter.send(page, page.form(having="title"), **criterion)
    assert page.status == 400
    assert page.form(having="title").fields["c0_1"] == "Not."
    page = recruiter.send(page, page.form(having="title"), c0_5="Always.")
    rubric = api.get("/positions/nurse-1").body["position"]["rubric"]
    assert [one["id"] for one in rubric["criteria"]] == ["care"]

    for is_open in (False, True):
        page = recruiter.get("/board/positions/nurse-1")
        recruiter.send(page, page.form("/open"))
        assert api.get("/positions/nurse-1").body["position"]["isOpen"] is is_open


@pytest.mark.both_databases
def test_many_are_invited_or_nobody(recruiter: Recruiter, api: Api) -> None:
    put_position(api)
    page = recruiter.get(f"/board/positions/{ANA.access_key}/invite")
    lines = "name,email\nAna,ana@example.com\nMei\nAna,ana@example.com\nNoor,nobody"
    page = recruiter.send(page, page.form(having="lines"), lines=lines)
    assert page.status == 400
    for told in ("Line 3", "Line 4", "Line 5", "The same person as in line 2"):
        assert told in page.text
    assert page.form(having="lines").fields["lines"].splitlines() == lines.splitlines()
    assert "Nobody is invited yet" in recruiter.get(f"/board/positions/{ANA.access_key}").text
    page = recruiter.send(page, page.form(having="lines"), lines="Ana;a@b\nMei;m@b")
    assert page.html.count("/interview#") == 2
    rows = recruiter.get(f"/board/positions/{ANA.access_key}").text
    assert "Ana" in rows
    assert "Mei" in rows


@pytest.mark.both_databases
def test_an_interview_is_judged(recruiter: Recruiter, api: Api, rehearsal: Rehearsal) -> None:
    path = a_scored_interview(api, rehearsal, recruiter)
    page = recruiter.get(path)
    quotes = [link.partition("#")[2] for link in page.links() if "#quote-" in link]
    assert quotes
    ids = {given.get("id") for _, given in page.tags}
    assert set(quotes) <= ids
    form = page.form("/review", having="criterion")
    page = recruiter.send(page, form, score="2", reason="", reviewer="Mei")
    assert page.status == 400
    assert page.form("/review", having="criterion").fields["score"] == "2"
    form = page.form("/review", having="criterion")
    page = recruiter.send(page, form, reason="Too thin.")
    assert "Too thin." in page.text
    form = page.form("/decide")
    page = recruiter.send(page, form, decision="selected", reason="Good.", reviewer="Mei")
    assert "Selected" in page.text
    listed = recruiter.get(f"/board/positions/{ANA.access_key}?decision=selected&sort=total")
    assert ANA.email in listed.text
    assert (
        ANA.email not in recruiter.get(f"/board/positions/{ANA.access_key}?decision=rejected").text
    )


@pytest.mark.both_databases
@pytest.mark.parametrize("state", ["", "started", "finished", "unscored", "scored", "invited"])
@pytest.mark.parametrize("sort", ["newest", "name", "total", "lowest"])
def test_every_search_is_answered(recruiter: Recruiter, api: Api, state: str, sort: str) -> None:
    put_position(api)
    assert api.start().status == 200
    for decision in ("", "undecided", "selected"):
        query = f"q=A&state={state}&sort={sort}&decision={decision}"
        page = recruiter.get(f"/board/positions/{ANA.access_key}?{query}")
        assert page.status == 200
        is_found = state in ("", "started") and sort in ("newest", "name")
        assert (ANA.email in page.text) == (is_found and decision != "selected")


@pytest.mark.both_databases
def test_what_somebody_wrote_is_text_in_every_page(
    recruiter: Recruiter, api: Api, rehearsal: Rehearsal
) -> None:
    applicant = Applicant("hostile", HOSTILE.replace("/", ""), "=x@y")
    rubric = {**RUBRIC, "criteria": [{**RUBRIC["criteria"][0], "title": HOSTILE}]}
    put_position(api, "hostile", rubric=rubric, title=HOSTILE)
    hold(api, rehearsal, f"{HOSTILE} {WORDS}", applicant=applicant)
    scored(api, applicant)
    decision = {"decision": "potential", "reason": HOSTILE, "reviewer": HOSTILE}
    assert api.post("/decide", {**applicant.fields, **decision}).status == 200
    number = next(
        link.rpartition("/")[2]
        for link in recruiter.get("/board/positions/hostile").links()
        if "/interviews/" in link
    )
    for path in (
        *("", "/positions/hostile", "/positions/hostile/edit", "/positions/hostile/overview"),
        f"/interviews/{number}",
        f"/positions/hostile/compare?i={number}&i={number}",
        "/positions/hostile?q=%3Cscript%3Ealert(1)%3C/script%3E",
    ):
        page = recruiter.get(f"/board{path}")
        assert page.status == 200
        assert "<script>alert" not in page.html
        assert "<img" not in page.html
        assert "49" not in page.text.replace(number, "")
    text = recruiter.get("/board/positions/hostile/applicants.csv").html
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[1][:2] == [applicant.name, "'=x@y"]


def test_an_open_page_learns_whether_anything_is_new(recruiter: Recruiter, api: Api) -> None:
    first = recruiter.client.get("/board/version")
    assert first.status_code == 204
    headers = {"If-None-Match": first.headers["ETag"]}
    assert recruiter.client.get("/board/version", headers=headers).status_code == 304
    assert api.start().status == 200
    assert recruiter.client.get("/board/version", headers=headers).status_code == 204


def test_an_address_that_is_none_is_answered_with_a_page(recruiter: Recruiter) -> None:
    for path in (
        "/board/unknown",
        "/board/positions/none",
        "/board/interviews/5",
        "/board/interviews/5/none",
    ):
        page = recruiter.get(path)
        assert page.status == 404
        assert "</html>" in page.html


@pytest.mark.both_databases
def test_the_address_of_a_refused_form_leads_back_to_the_applicant(
    recruiter: Recruiter, api: Api
) -> None:
    assert api.start().status == 200
    put_position(api)
    page = recruiter.get(f"/board/positions/{ANA.access_key}")
    path = next(link for link in page.links() if "/interviews/" in link)
    for form in ("score", "review", "decide"):
        page = recruiter.get(f"{path.removeprefix(recruiter.base)}/{form}")
        assert (page.status, page.url.rpartition("/interviews/")[2].isdigit()) == (200, True)
