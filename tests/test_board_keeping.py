"""The board's pages of retention, legal holds and erasures, by their forms."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

import records.retention
from api import ANA, Api, over_flask
from app import create_app
from boards import Recruiter
from config import Config
from scored import put_position
from web.service import service

pytestmark = pytest.mark.both_databases

JOB = f"/board/positions/{ANA.access_key}"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def recruiter(config: Config) -> Iterator[Recruiter]:
    app = create_app(config)
    yield Recruiter(app.test_client())
    service(app).close()


@pytest.fixture
def api(recruiter: Recruiter) -> Api:
    assert isinstance(recruiter.client, FlaskClient)
    made = over_flask(recruiter.client.application.test_client())
    put_position(made, retentionDays=30)
    assert made.start(prompt="Ask Ana.").status == 200
    return made


def path_of_ana(recruiter: Recruiter) -> str:
    links = recruiter.get(JOB).links()
    return next(link for link in links if "/interviews/" in link).removeprefix(recruiter.base)


def test_somebody_is_erased_once_their_name_was_typed(recruiter: Recruiter, api: Api) -> None:
    path = path_of_ana(recruiter)
    page = recruiter.get(f"{path}/keeping")
    form = page.form("/keeping", having="confirmation")
    page = recruiter.send(page, form, confirmation="Somebody else")
    assert page.status == 400
    assert api.said()
    page = recruiter.send(page, page.form("/keeping", having="confirmation"), confirmation=ANA.name)
    assert page.url.endswith(f"{JOB}/keeping")
    assert "Erased. The receipt has the number" in page.text
    assert api.said() == []
    assert recruiter.get(path).status == recruiter.get(f"{path}/keeping").status == 404


def test_who_is_invited_can_be_erased_too(recruiter: Recruiter, api: Api) -> None:
    assert api.post("/invitations", ANA.named("Mei").fields).status == 200
    links = recruiter.get(JOB).links()
    path = next(link for link in links if "/invitations/" in link).removeprefix(recruiter.base)
    page = recruiter.get(f"{path}/keeping")
    form = page.form("/keeping", having="confirmation")
    assert "Erased." in recruiter.send(page, form, confirmation="Mei").text
    assert "Mei" not in recruiter.get(JOB).text


@pytest.mark.parametrize("is_position", [False, True])
def test_what_is_held_is_not_erased_until_the_hold_has_ended(
    recruiter: Recruiter, api: Api, is_position: bool
) -> None:
    person = f"{path_of_ana(recruiter)}/keeping"
    held = f"{JOB}/keeping" if is_position else person
    old = recruiter.get(person)
    page = recruiter.get(held)
    page = recruiter.send(page, page.form("/hold"), reason=" ", reviewer="Mei")
    assert page.status == 400
    page = recruiter.send(page, page.form("/hold"), reason=HOSTILE, reviewer="Mei")
    assert "The legal hold is set." in page.text
    assert HOSTILE in page.text
    assert "<script>alert" not in page.html + recruiter.get(f"{JOB}/keeping").html
    # The form of a page that was loaded before the hold.
    page = recruiter.send(old, old.form("/keeping", having="confirmation"), confirmation=ANA.name)
    assert page.status == 409
    assert api.said()
    page = recruiter.get(held)
    page = recruiter.send(page, page.form("/hold"), reason="The case is closed.", reviewer="Mei")
    assert "The legal hold has ended." in page.text
    page = recruiter.get(person)
    page = recruiter.send(page, page.form("/keeping", having="confirmation"), confirmation=ANA.name)
    assert "Erased." in page.text


def test_who_is_about_to_be_erased_is_shown_a_week_before(
    recruiter: Recruiter, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ANA.email not in recruiter.get(f"{JOB}/keeping").text
    later = records.retention.now() + timedelta(days=24)
    monkeypatch.setattr(records.retention, "now", lambda: later)
    page = recruiter.get(f"{JOB}/keeping")
    assert ANA.email in page.text
    form = recruiter.get(f"{path_of_ana(recruiter)}/keeping")
    recruiter.send(form, form.form("/hold"), reason="A case.", reviewer="Mei")
    assert "A case." in recruiter.get(f"{JOB}/keeping").text


def test_the_form_of_a_position_keeps_and_changes_its_days(recruiter: Recruiter, api: Api) -> None:
    page = recruiter.get(f"{JOB}/edit")
    page = recruiter.send(page, page.form(having="title"), title="Nurse")
    assert api.get(f"/positions/{ANA.access_key}").body["position"]["retentionDays"] == 30
    page = recruiter.get(f"{JOB}/edit")
    page = recruiter.send(page, page.form(having="title"), retention_days="0")
    assert page.status == 400
    page = recruiter.send(page, page.form(having="title"), retention_days="")
    assert api.get(f"/positions/{ANA.access_key}").body["position"]["retentionDays"] is None


def test_nobody_is_there_to_be_erased(recruiter: Recruiter, api: Api) -> None:
    for path in (
        "/board/interviews/99/keeping",
        "/board/invitations/9/keeping",
    ):
        assert recruiter.get(path).status == 404
