"""The notice, another way and notes in the applicant's room, in a real browser."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect

from api import ANA, Api, Applicant
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal
from rooms import (
    AUTHORIZED,
    DESK,
    KEY,
    PHONE,
    SECRET_KEY,
    Room,
    a_browser,
    invited,
    look,
    put_position,
    stored,
)
from server import Gunicorn

HOSTILE = "<img src=x onerror=alert(1)><b>bold</b>&amp;\"'{{7*7}}"
OWN = {"text": f"An AI asks.\n\nA person decides. {HOSTILE}", "language": "en"}
AGREE = "I agree to be interviewed by an AI"


@pytest.fixture
def server(make_server: Callable[..., Gunicorn]) -> Gunicorn:
    return make_server(API_KEYS=KEY, SECRET_KEY=SECRET_KEY, CONTACT="jobs@example.com").start()


@pytest.fixture
def api(server: Gunicorn) -> Iterator[Api]:
    with server.api() as api:
        put_position(api)
        yield api


@pytest.fixture
def browser(server: Gunicorn) -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> BrowserContext:
    return browser.new_context(locale="en-US", viewport=PHONE)


@pytest.fixture
def room(context: BrowserContext) -> Iterator[Room]:
    room = Room(context.new_page())
    yield room
    assert room.complaints == []


def notice(api: Api, applicant: Applicant = ANA) -> Any:
    query = f"name={applicant.name}&email={applicant.email.replace('+', '%2B')}"
    answer = api.send("GET", f"/notice/{applicant.access_key}?{query}", headers=AUTHORIZED)
    assert answer.status == 200
    return answer.body


def corrections(api: Api, applicant: Applicant = ANA) -> list[str | None]:
    """The note of each of the applicant's messages."""
    answer = api.send("GET", f"/get_messages/{applicant.path}", headers=AUTHORIZED)
    return [
        message.get("correction", {}).get("note")
        for message in answer.body["messages"]
        if message["role"] == "user"
    ]


def finish(room: Room, rehearsal: Rehearsal, *said: str) -> None:
    for number, text in enumerate(said[:-1]):
        room.say(text)
        room.hears(3 + 2 * number)
    rehearsal.default = Behaviour(message={"content": SCRIPT[-1]})
    room.say(said[-1])
    room.shows("Thank you")


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def test_the_notice_is_shown_before_the_start_and_stored_as_accepted_with_it(
    room: Room, api: Api
) -> None:
    room.enter(invited(api))
    room.shows("Nurse, night shift")
    told = notice(api)
    assert room.page.locator("#notice").text_content() == told["text"]
    expect(room.page.locator("#notice")).to_have_attribute("lang", "en")
    expect(room.page.get_by_role("main")).to_contain_text("it is stored that you have read this")
    expect(room.page.get_by_label(AGREE)).to_be_hidden()
    assert notice(api)["accepted_at"] is None  # not yet, by being shown
    room.begin()
    assert notice(api)["accepted_at"] is not None


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_where_consent_is_required_there_is_a_real_choice(
    browser: Browser, api: Api, size: ViewportSize, request: pytest.FixtureRequest
) -> None:
    put_position(api, notice=OWN, consentRequired=True)
    device = request.node.callspec.id
    room = Room(browser.new_context(locale="en-US", viewport=size).new_page())
    room.enter(invited(api))
    room.shows("Nurse, night shift")
    assert room.page.locator("#notice").text_content() == OWN["text"]
    box = room.page.get_by_label(AGREE)
    expect(box).not_to_be_checked()
    look(room.page, f"rights-{device}-before")
    button(room.page, "Start").click()
    expect(room.page.locator("#agree-missing")).to_be_visible()
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-invalid", "true")
    look(room.page, f"rights-{device}-not-agreed")
    assert stored(api) == []
    assert notice(api)["accepted_at"] is None
    box.check()
    room.begin()
    assert notice(api)["accepted_at"] is not None
    assert room.complaints == []


def test_a_notice_that_changes_before_the_start_is_read_again(room: Room, api: Api) -> None:
    put_position(api, consentRequired=True)
    room.enter(invited(api))
    room.page.get_by_label(AGREE).check()
    put_position(api, notice=OWN, consentRequired=True)
    button(room.page, "Start").click()
    expect(room.page.locator("#notice-changed")).to_be_visible()
    expect(room.page.locator("#notice")).to_contain_text("An AI asks.")
    expect(room.page.get_by_label(AGREE)).not_to_be_checked()
    assert stored(api) == []
    room.page.get_by_label(AGREE).check()
    room.begin()
    assert notice(api)["version"] == 2
    assert notice(api)["accepted_at"] is not None


def test_a_notice_that_changes_between_the_consent_and_the_start_is_read_again(
    room: Room, api: Api, context: BrowserContext
) -> None:
    put_position(api, consentRequired=True)
    room.enter(invited(api))
    room.page.get_by_label(AGREE).check()

    def change(route: Any) -> None:
        put_position(api, notice=OWN, consentRequired=True)
        route.continue_()

    context.route("**/start_interview", change, times=1)
    button(room.page, "Start").click()
    expect(room.page.locator("#notice")).to_contain_text("An AI asks.")
    room.page.get_by_label(AGREE).check()
    room.begin()
    assert len(stored(api)) == 1


def test_a_notice_that_changes_during_the_interview_disturbs_nobody(room: Room, api: Api) -> None:
    link = invited(api)
    room.enter(link).begin()
    put_position(api, notice=OWN, consentRequired=True)
    room.say("I go on.")
    room.hears(3)
    room.page.reload()
    room.hears(3)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_an_applicant_asks_for_another_way_before_the_start(
    browser: Browser, api: Api, size: ViewportSize, request: pytest.FixtureRequest
) -> None:
    device = request.node.callspec.id
    room = Room(browser.new_context(locale="en-US", viewport=size).new_page())
    link = invited(api)
    room.enter(link)
    button(room.page, "Ask for another way").first.click()
    room.shows("Another way")
    look(room.page, f"rights-{device}-another-way")
    assert notice(api)["another_way_at"] is None  # it was looked at, and not asked for
    button(room.page, "Back").click()
    room.shows("Nurse, night shift")
    button(room.page, "Ask for another way").first.click()
    room.page.locator("#way-ask").click()
    room.shows("You have asked for another way")
    main = room.page.get_by_role("main")
    expect(main).to_contain_text("What happens next")
    expect(main).to_contain_text(ANA.email)
    expect(main).to_contain_text("jobs@example.com")
    look(room.page, f"rights-{device}-asked")
    assert notice(api)["another_way_at"] is not None
    assert stored(api) == []
    room.page.reload()
    room.shows("You have asked for another way")
    button(room.page, "Go to the interview").click()
    room.shows("Nurse, night shift")
    room.begin()
    assert room.complaints == []


def test_an_applicant_asks_for_another_way_during_the_interview_and_may_go_on(
    room: Room, api: Api
) -> None:
    room.enter(invited(api)).begin()
    room.words.fill("I had begun to write this")
    look(room.page, "rights-phone-during")
    button(room.page, "Ask for another way").last.click()
    room.shows("Another way")
    room.page.locator("#way-ask").click()
    room.shows("You have asked for another way")
    assert notice(api)["another_way_at"] is not None
    button(room.page, "Go to the interview").click()
    expect(room.words).to_have_value("I had begun to write this")
    room.say("And so I go on.")
    room.hears(3)
    button(room.page, "Ask for another way").last.click()
    room.shows("You have asked for another way")


def test_what_is_said_last_while_another_way_is_looked_at_ends_the_interview_all_the_same(
    room: Room, api: Api, rehearsal: Rehearsal
) -> None:
    room.enter(invited(api)).begin()
    pieces = tuple(re.findall(r"\S+\s*", SCRIPT[-1]))
    rehearsal.default = Behaviour(message={"content": SCRIPT[-1]}, pieces=pieces, piece_pace=0.2)
    room.say("That is all.")
    expect(room.page.locator(".interviewer .words").nth(1)).to_contain_text(pieces[0].strip())
    button(room.page, "Ask for another way").last.click()
    room.shows("Another way")
    expect(room.page.locator("body")).to_have_attribute("data-state", "ended")
    button(room.page, "Back").click()
    room.shows("Nurse, night shift")
    expect(room.page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert stored(api)[-1] == SCRIPT[-1]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_notes_are_added_to_ones_own_answers_after_the_end(
    browser: Browser,
    api: Api,
    rehearsal: Rehearsal,
    size: ViewportSize,
    request: pytest.FixtureRequest,
) -> None:
    device = request.node.callspec.id
    room = Room(browser.new_context(locale="en-US", viewport=size).new_page())
    room.enter(invited(api)).begin()
    finish(room, rehearsal, "I began in 2009.", "I like nights.")
    expect(room.page.locator("#correcting")).to_contain_text("you can add a note")
    own = room.page.locator("#messages > .applicant")
    assert room.page.locator(".noting").count() == own.count() == 2
    first = own.nth(0)
    button(first, "Add a note").click()
    field = first.get_by_label("Your note to this answer")
    expect(field).to_be_focused()
    button(first, "Save the note").click()
    expect(first.get_by_text("Please write a note first.")).to_be_visible()
    field.fill("x" * 2001)
    button(first, "Save the note").click()
    expect(first.get_by_text("It may have 2000 characters.")).to_be_visible()
    field.fill(f"It was 2019, not 2009. {HOSTILE}")
    look(room.page, f"rights-{device}-noting")
    button(first, "Save the note").click()
    expect(first.get_by_text("Your note is saved.")).to_be_visible()
    expect(button(first, "Change the note")).to_be_focused()
    expect(first.locator(".note .words")).to_have_text(f"It was 2019, not 2009. {HOSTILE}")
    expect(first.locator(".words").first).to_have_text("I began in 2009.")
    look(room.page, f"rights-{device}-noted")
    assert corrections(api) == [f"It was 2019, not 2009. {HOSTILE}", None]
    button(first, "Change the note").click()
    expect(field).to_have_value(f"It was 2019, not 2009. {HOSTILE}")
    field.fill("It was 2018.")
    button(first, "Cancel").click()
    expect(first.locator(".note .words")).to_contain_text("2019")
    button(first, "Change the note").click()
    field.fill("It was 2018.")
    button(first, "Save the note").click()
    expect(first.locator(".note .words")).to_have_text("It was 2018.")
    room.page.reload()
    room.shows("Thank you")
    expect(own.nth(0).locator(".note .words")).to_have_text("It was 2018.")
    expect(button(own.nth(0), "Change the note")).to_be_visible()
    look(room.page, f"rights-{device}-after")
    assert room.page.locator("main img, main b").count() == 0
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert room.page.evaluate(overflow) == 0
    assert room.complaints == []


def test_a_copy_of_the_interview_has_the_notes(room: Room, api: Api, rehearsal: Rehearsal) -> None:
    room.enter(invited(api)).begin()
    finish(room, rehearsal, "I began in 2009.")
    own = room.page.locator("#messages > .applicant")
    button(own, "Add a note").click()
    own.get_by_label("Your note to this answer").fill("In 2019.")
    button(own, "Save the note").click()
    expect(own.locator(".note")).to_be_visible()
    with room.page.expect_download() as download:
        button(room.page, "Save as a text file").click()
    text = Path(download.value.path()).read_text()
    assert re.search(r"I began in 2009\.\n\nYour note of .+\nIn 2019\.\n", text)


def test_a_note_is_not_lost_with_the_connection(
    room: Room, context: BrowserContext, api: Api, rehearsal: Rehearsal
) -> None:
    room.enter(invited(api)).begin()
    finish(room, rehearsal, "I began in 2009.")
    own = room.page.locator("#messages > .applicant")
    button(own, "Add a note").click()
    own.get_by_label("Your note to this answer").fill("In 2019.")
    context.set_offline(True)
    button(own, "Save the note").click()
    expect(own.get_by_text("We are trying again")).to_be_visible()
    context.set_offline(False)
    expect(own.locator(".note .words")).to_have_text("In 2019.")
    assert corrections(api) == ["In 2019."]


def test_once_the_time_for_notes_is_over_there_is_no_place_for_one(
    room: Room, api: Api, rehearsal: Rehearsal, database_path: Path
) -> None:
    room.enter(invited(api)).begin()
    finish(room, rehearsal, "I began in 2009.")
    own = room.page.locator("#messages > .applicant")
    button(own, "Add a note").click()
    own.get_by_label("Your note to this answer").fill("In 2019.")
    with sqlite3.connect(database_path) as file:
        file.execute(
            "UPDATE messages SET date_created = '2026-01-02 03:04:05.000000' WHERE is_finished = 1"
        )
    file.close()
    button(own, "Save the note").click()
    expect(own.get_by_text("the time for it is over")).to_be_visible()
    expect(own.get_by_label("Your note to this answer")).to_have_value("In 2019.")
    room.page.reload()
    room.shows("Thank you")
    expect(room.page.locator("#messages > li")).to_have_count(3)
    expect(room.page.locator("#correcting")).to_be_hidden()
    assert room.page.locator(".noting").count() == 0


def test_a_position_without_notes_offers_none(room: Room, api: Api, rehearsal: Rehearsal) -> None:
    put_position(api, correctionHours=0)
    room.enter(invited(api)).begin()
    finish(room, rehearsal, "I began in 2009.")
    expect(room.page.locator("#correcting")).to_be_hidden()
    assert room.page.locator(".noting").count() == 0


def test_all_of_it_can_be_done_with_the_keyboard_alone(
    room: Room, api: Api, rehearsal: Rehearsal
) -> None:
    put_position(api, consentRequired=True)
    room.enter(invited(api))
    room.shows("Nurse, night shift")
    keyboard = room.page.keyboard

    def tab_to(selector: str) -> None:
        for _ in range(30):
            keyboard.press("Tab")
            if room.page.locator(f"{selector}:focus").count():
                return
        raise AssertionError(f"{selector} cannot be reached")

    tab_to("#agree")
    keyboard.press("Space")
    tab_to("#start")
    keyboard.press("Enter")
    room.hears(1)
    tab_to("#elsewhere [data-another-way]")
    keyboard.press("Enter")
    room.shows("Another way")
    tab_to("#way-ask")
    keyboard.press("Enter")
    room.shows("You have asked for another way")
    tab_to("#asked-on")
    keyboard.press("Enter")
    finish(room, rehearsal, "I began in 2009.")
    tab_to(".noting .open")
    keyboard.press("Enter")
    keyboard.type("In 2019.")
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(room.page.locator(".note .words")).to_have_text("In 2019.")
    assert corrections(api) == ["In 2019."]


@pytest.mark.parametrize("language", ["de", "es", "fr", "fil"])
def test_the_notice_is_in_the_language_of_the_position(
    browser: Browser, api: Api, language: str
) -> None:
    from rooms import PLAN

    names = {"de": "Deutsch", "es": "Español", "fr": "Français", "fil": "Filipino"}
    put_position(api, plan={**PLAN, "language": names[language]}, consentRequired=True)
    room = Room(browser.new_context(locale="en-US", viewport=PHONE).new_page())
    room.enter(invited(api))
    told = room.page.locator("#notice")
    expect(told).to_have_attribute("lang", language)
    assert told.text_content() == notice(api)["text"]
    look(room.page, f"rights-phone-before-{language}")
    assert room.complaints == []


def test_a_notice_in_a_language_that_the_page_does_not_know_is_shown_as_it_is(
    room: Room, api: Api
) -> None:
    put_position(api, notice={"text": "مرحبا", "language": "Arabic"})
    room.enter(invited(api))
    expect(room.page.locator("#notice")).to_have_text("مرحبا")
    expect(room.page.locator("#notice")).to_have_attribute("lang", "")
    assert room.page.evaluate("getComputedStyle(document.getElementById('notice')).direction") == (
        "rtl"
    )


def test_the_consent_is_sent_again_until_it_arrives(
    room: Room, context: BrowserContext, api: Api
) -> None:
    room.enter(invited(api))
    room.shows("Nurse, night shift")
    failed: list[str] = []

    def fail(route: Any) -> None:
        failed.append(route.request.url)
        route.fulfill(status=503, body=json.dumps({"error": "busy"}))

    context.route("**/consent", fail, times=2)
    room.begin()
    assert len(failed) == 2
    assert notice(api)["accepted_at"] is not None
