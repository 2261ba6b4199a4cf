"""The board's list of positions, and the form by which one is made and edited."""

import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response, request

from access.board_sessions import BOARD
from errors import ApiError
from pages.board import go_to, page
from pages.position_form import PositionForm, values_of
from pages.queries import Overviews
from positions.drafting import draft
from positions.endpoints import position_of, put
from positions.position import MAX_CRITERIA, MAX_QUESTIONS
from positions.queries import Positions, StoredPosition
from web.errors import BadField
from web.fields import access_key_of_path, new_access_key_of_path
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

POSITIONS_IN_PAGE = 50

# Empty rows of a new form.
NEW_QUESTIONS = 3

# Random bytes of an access key that nobody has chosen.
ACCESS_KEY_BYTES = 6


def url_of(access_key: str) -> str:
    """Return the path of a position's page."""
    return f"{BOARD}/positions/{quote(access_key, safe='')}"


def positions() -> Response:
    """Show the positions, the newest first."""
    after = request.args.get("after")
    with service().database.reading() as session:
        rows = Positions(session).page(POSITIONS_IN_PAGE + 1, after) or []
        invited = Overviews(session).invited([row.access_key for row in rows])
    return page(
        "positions.html",
        rows=rows[:POSITIONS_IN_PAGE],
        invited=invited,
        is_first=after is None,
        next=rows[POSITIONS_IN_PAGE - 1].access_key if len(rows) > POSITIONS_IN_PAGE else None,
        url_of=url_of,
    )


def new_position() -> "AnyResponse":
    """Show the form of a new position, or store one."""
    values = {"kind": "plan", "language": "English", "coverage": "60", "scoring": "manual"}
    if request.method == "GET":
        form = PositionForm(values | {f"q{number}_text": "" for number in range(NEW_QUESTIONS)})
        return _form(form, None)
    form = PositionForm(request.form)
    access_key = request.form.get("access_key", "").strip()
    if _changed(form):
        return _form(form, None)
    try:
        access_key = new_access_key_of_path(
            access_key or secrets.token_urlsafe(ACCESS_KEY_BYTES).replace("_", "-")
        )
        _refuse_slash(access_key)
    except BadField as error:
        form.errors["access_key"] = str(error).replace("access_key", "This", 1)
        return _form(form, None, 400)
    body = form.body({}, is_open=True)
    with service().database.reading() as session:
        if Positions(session).get(access_key) is not None:
            form.errors["access_key"] = "There is a position with this key already."
    if body is None or form.errors:
        return _form(form, None, 400)
    try:
        put(access_key, body)
    except BadField as error:
        form.errors[""] = str(error)
        return _form(form, None, 400)
    return go_to(url_of(access_key), "The position is made. Invite somebody next.")


def edit_position(access_key: str) -> "AnyResponse":
    """Show the form of a position, or store it."""
    position = position_of(access_key_of_path(access_key))
    if request.method == "GET":
        return _form(PositionForm(values_of(position)), position)
    form = PositionForm(request.form)
    if _changed(form):
        return _form(form, position)
    body = form.body(position.metadata, is_open=position.is_open)
    if request.form.get("updated_at") != position.updated_at:
        form.errors[""] = (
            "Somebody has changed this position since you opened the form. Open it again in another"
            " tab to see what is there now; if you save once more, yours takes its place."
        )
        form.values["updated_at"] = position.updated_at
    if body is None or form.errors:
        return _form(form, position, 409 if "" in form.errors else 400)
    try:
        put(position.access_key, body)
    except BadField as error:
        form.errors[""] = str(error)
        return _form(form, position, 400)
    return go_to(url_of(position.access_key), "Saved.")


def open_position(access_key: str) -> "AnyResponse":
    """Open the position to applicants, or close it."""
    position = position_of(access_key_of_path(access_key))
    is_open = request.form.get("open") == "yes"
    with service().database.transaction() as session:
        Positions(session).set_open(position.access_key, is_open=is_open)
    said = (
        "The position is open."
        if is_open
        else "The position is closed. Interviews that have begun go on."
    )
    return go_to(url_of(position.access_key), said)


def _changed(form: PositionForm) -> bool:
    """Carry out what a button within the form asks for; return whether it was one of these."""
    action, _, number = request.form.get("action", "").partition(":")
    match action:
        case "add-question":
            form.questions.append({"text": "", "follow_ups": "1"})
        case "remove-question" if number.isdecimal():
            del form.questions[int(number) : int(number) + 1]
        case "add-criterion":
            form.add_criterion()
        case "remove-criterion" if number.isdecimal():
            del form.criteria[int(number) : int(number) + 1]
        case "draft":
            _draft(form)
        case _:
            return False
    return True


def _draft(form: PositionForm) -> None:
    """Put a rubric that the model proposes for what is typed into the form."""
    read = form.without_rubric()
    if read is None:
        return
    deadline = time.monotonic() + service().config.reply_deadline
    try:
        form.put_rubric(draft(read, service().llm, deadline))
    except ApiError as error:
        form.errors["draft"] = str(error)


def _refuse_slash(access_key: str) -> None:
    if "/" in access_key:
        raise BadField("access_key must not hold a slash.")


def _form(form: PositionForm, position: StoredPosition | None, status: int = 200) -> Response:
    return page(
        "position_form.html",
        status,
        form=form,
        position=position,
        most_questions=MAX_QUESTIONS,
        most_criteria=MAX_CRITERIA,
        url_of=url_of,
    )
