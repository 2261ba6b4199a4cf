"""Positions and invitations by the API, and the applicant's room as its visitor sees it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from access.api_keys import hash_of
from api import ANA, Answer, Api, Applicant
from config import APP_FOLDER

KEY, SECRET_KEY = "a-recruiters-key", "s" * 40
AUTHORIZED = {"X-API-Key": KEY}
WITH_KEYS: dict[str, Any] = {"api_keys": (hash_of(KEY),), "secret_key": (SECRET_KEY,)}
PLAN = {
    "objective": "Find a nurse",
    "questions": [{"text": "Why nursing?", "followUps": 2}, {"text": "Nights?", "followUps": 0}],
    "language": "English",
}
POSITION = {"title": "Nurse, night shift", "plan": PLAN}

SCREENSHOTS = APP_FOLDER / "screenshots"

# Milliseconds that a page may take, on a machine that does a lot besides.
PATIENCE = 90_000

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 800}


def post(api: Api, path: str, body: Any, headers: dict[str, str] = AUTHORIZED) -> Answer:
    data = json.dumps(body)
    return api.send(
        "POST", path, data=data, headers={"Content-Type": "application/json", **headers}
    )


def put_position(api: Api, access_key: str = ANA.access_key, **fields: Any) -> None:
    response = api.raw(
        "PUT", f"/positions/{access_key}", json={**POSITION, **fields}, headers=AUTHORIZED
    )
    assert response.status_code == 200


def invited(api: Api, applicant: Applicant = ANA, **fields: Any) -> str:
    """The link of a new invitation."""
    answer = post(api, "/invitations", {**applicant.fields, **fields})
    assert answer.status == 200
    link: str = answer.body["link"]
    return link


def secret_of(link: str) -> str:
    return link.partition("#")[2]


def stored(api: Api, applicant: Applicant = ANA) -> list[str]:
    """The transcript without the prompt."""
    answer = api.send("GET", f"/get_messages/{applicant.path}", headers=AUTHORIZED)
    assert answer.status == 200
    return [message["content"] for message in answer.body["messages"]][1:]


@contextmanager
def a_browser() -> Iterator[Browser]:
    """The system's Chromium. No event loop can be started in this thread meanwhile."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable)
        yield browser
        browser.close()


def look(page: Page, name: str) -> None:
    """Keep pictures of the page, in light and dark, in which axe finds nothing to complain of."""
    SCREENSHOTS.mkdir(exist_ok=True)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


class Room:
    """The room in a page of a browser; whatever the page complains of fails the test."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if "Security Policy" in message.text:
            self.complaints.append(message.text)

    def enter(self, link: str) -> "Room":
        self.page.goto(link)
        return self

    def begin(self) -> None:
        self.page.get_by_role("button", name="Start", exact=True).click()
        self.hears(1)

    @property
    def words(self) -> Locator:
        return self.page.get_by_label("Your answer")

    def say(self, text: str) -> None:
        self.words.fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def hears(self, count: int) -> None:
        """Wait until so many messages are there, and nothing is under way."""
        expect(self.page.locator("#messages > li")).to_have_count(count)
        expect(self.page.locator("#send[aria-disabled]")).to_have_count(0)
        expect(self.page.locator(".waiting")).to_have_count(0)

    def said(self) -> list[str]:
        return self.page.locator("#messages .words").all_text_contents()

    def shows(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    def notice(self, name: str) -> Locator:
        return self.page.locator(f'[data-notice="{name}"]')
