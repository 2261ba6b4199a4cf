"""The board's pages of what is kept and for how long: retention, legal holds, erasures."""

from typing import TYPE_CHECKING, NamedTuple

from flask import Response, request
from pydantic import ValidationError
from werkzeug.exceptions import NotFound

from access.board_sessions import BOARD
from db import Erasures, InterviewKey, PersonalData, Session
from errors import ApiError
from pages.board import go_to, page
from pages.board_positions import url_of
from pages.queries import Found
from positions.endpoints import position_of
from positions.queries import Positions
from records.erasing import erase
from records.errors import Held
from records.hold_bodies import HoldBody
from records.hold_queries import LegalHold, LegalHolds
from records.holds import end_hold, hold
from records.retention import about_to_go
from web.bodies import sentence_of, storable
from web.error_handlers import status_of
from web.errors import BadField
from web.fields import access_key_of_path
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

RECEIPTS_IN_PAGE = 50

# People whom the page names as about to be erased.
MOST_NAMED = 100


class Person(NamedTuple):
    """Somebody about whom something is stored."""

    interview: InterviewKey
    path: str
    """The page's, from the service's own root."""
    title: str | None
    """The position's; None if there is no position."""
    rows: int
    hold: LegalHold | None
    """The hold on exactly this person."""
    is_position_held: bool


def keeping(access_key: str) -> Response:
    """Show who is about to be erased, what is held, and who was erased."""
    return _keeping(access_key_of_path(access_key), {}, {})


def hold_position(access_key: str) -> "AnyResponse":
    """Set a legal hold on the position, or end it."""
    access_key = position_of(access_key_of_path(access_key)).access_key
    form = _form()
    errors: dict[str, str] = {}
    said = _has_held(access_key, None, form, errors)
    if said is None:
        return _keeping(access_key, form, errors, 400)
    return go_to(f"{url_of(access_key)}/keeping", said)


def interview(number: int) -> "AnyResponse":
    """Show how somebody with an interview is erased or held, and erase them."""
    return _erase(_interviewed(number))


def invitation(number: int) -> "AnyResponse":
    """Show how somebody who was invited is erased or held, and erase them."""
    return _erase(_invited(number))


def hold_interview(number: int) -> "AnyResponse":
    """Set a legal hold on somebody with an interview, or end it."""
    return _hold(_interviewed(number))


def hold_invitation(number: int) -> "AnyResponse":
    """Set a legal hold on somebody who was invited, or end it."""
    return _hold(_invited(number))


def _erase(found: Person) -> "AnyResponse":
    if request.method == "GET":
        return _person_page(found, {}, {})
    form = _form()
    if form["confirmation"].strip() != found.interview.name.strip():
        sentence = "That is not the name of this applicant. Nothing was erased."
        return _person_page(found, form, {"confirmation": sentence}, 400)
    try:
        receipt = erase(service().database, found.interview)
    except Held as error:
        return _person_page(found, form, {"confirmation": str(error)}, status_of(type(error)))
    said = f"Erased. The receipt has the number {receipt.receipt_id}."
    if receipt.wiped_at is None:
        said += " Traces in the files are being overwritten; this page says when it is done."
    access_key = found.interview.access_key
    return go_to(f"{url_of(access_key)}/keeping" if found.title is not None else BOARD, said)


def _hold(found: Person) -> "AnyResponse":
    form = _form()
    errors: dict[str, str] = {}
    said = _has_held(found.interview.access_key, found.interview, form, errors)
    if said is None:
        return _person_page(found, form, errors, 400)
    return go_to(f"{found.path}/keeping", said)


def _keeping(
    access_key: str, form: dict[str, str], errors: dict[str, str], status: int = 200
) -> Response:
    position = position_of(access_key)
    text = request.args.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    with service().database.reading() as session:
        due = about_to_go(session, access_key)
        named = [(one, _path_of(session, one.interview)) for one in due[:MOST_NAMED]]
        holds = LegalHolds(session)
        own = holds.current(access_key, None)
        held = [
            (one, _path_of(session, InterviewKey(access_key, one.name, one.email)))
            for one in holds.all()
            if one.access_key == access_key and one.name and one.ended_at is None
        ]
        receipts = Erasures(session).of_position(access_key, RECEIPTS_IN_PAGE + 1, before)
    return page(
        "keeping.html",
        status,
        position=position,
        due=named,
        due_number=len(due),
        own=own,
        held=held,
        receipts=receipts[:RECEIPTS_IN_PAGE],
        is_first=before is None,
        next=receipts[RECEIPTS_IN_PAGE - 1][0] if len(receipts) > RECEIPTS_IN_PAGE else None,
        form=form,
        errors=errors,
        url_of=url_of,
    )


def _path_of(session: Session, interview: InterviewKey) -> str | None:
    """Return the path of the board's page of somebody; None if there is none."""
    found = Found(session)
    number = found.number(interview)
    if number is not None:
        return f"{BOARD}/interviews/{number}"
    invitation = found.newest_invitation(interview)
    return f"{BOARD}/invitations/{invitation[0]}" if invitation else None


def _interviewed(number: int) -> Person:
    with service().database.reading() as session:
        found = Found(session).interview(number)
        return _person(session, found, f"{BOARD}/interviews/{number}")


def _invited(number: int) -> Person:
    with service().database.reading() as session:
        found = Found(session).invitation(number)
        return _person(session, found and found.interview, f"{BOARD}/invitations/{number}")


def _person(session: Session, interview: InterviewKey | None, path: str) -> Person:
    rows = sum(PersonalData(session).count(interview).values()) if interview else 0
    if interview is None or not rows:
        raise NotFound("Nothing is stored about this applicant.")
    position = Positions(session).get(interview.access_key)
    holds = LegalHolds(session)
    return Person(
        interview,
        path,
        position.title if position else None,
        rows,
        holds.current(interview.access_key, interview),
        holds.current(interview.access_key, None) is not None,
    )


def _person_page(
    found: Person, form: dict[str, str], errors: dict[str, str], status: int = 200
) -> Response:
    return page("person.html", status, found=found, form=form, errors=errors, url_of=url_of)


def _form() -> dict[str, str]:
    names = ("hold", "reason", "reviewer", "confirmation")
    return {name: request.form.get(name, "").replace("\r\n", "\n") for name in names}


def _has_held(
    access_key: str,
    interview: InterviewKey | None,
    form: dict[str, str],
    errors: dict[str, str],
) -> str | None:
    """Set a hold or end it, and return a sentence about it; None with what is wrong in `errors`."""
    value = {"hold": form["hold"] == "yes", "reason": form["reason"], "reviewer": form["reviewer"]}
    try:
        for name in ("reason", "reviewer"):
            storable(name, form[name])
        body = HoldBody.model_validate(value, strict=True)
        change = hold if body.hold else end_hold
        change(service().database, access_key, interview, body.reason, body.reviewer)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            errors.setdefault(str(detail["loc"][0]), f"This {sentence_of(dict(detail))}")
    except (ApiError, BadField) as error:
        errors["reason"] = str(error)
    else:
        return "The legal hold is set." if body.hold else "The legal hold has ended."
    return None
