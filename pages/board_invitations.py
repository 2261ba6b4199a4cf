"""The board's invitations: one or many are made, renewed and withdrawn."""

import csv
import io
from typing import TYPE_CHECKING, NamedTuple

from flask import Response, request
from werkzeug.exceptions import NotFound

from access.board_sessions import BOARD
from db import InterviewKey
from errors import ApiError
from invitations.endpoints import link_of, refuse_without_secret_key
from invitations.inviting import invite as make
from invitations.inviting import revoke
from pages.board import go_to, page
from pages.board_positions import url_of
from pages.queries import Found, InvitationRow
from pages.seen_rights import rights_of
from positions.endpoints import position_of
from positions.queries import StoredPosition
from web.fields import access_key_of_path, interview_of_fields
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

MOST_AT_ONCE = 1000
DAY = 86_400
DAYS, MOST_DAYS = 14, 90

# What the first line of a file may call the two columns.
NAMES = {"name", "full name", "applicant"}
ADDRESSES = {"email", "e-mail", "mail", "email address", "e-mail address"}


class Line(NamedTuple):
    """A line of what was given, and what is wrong with it."""

    number: int
    name: str
    email: str
    error: str = ""


def invite(access_key: str) -> Response:
    """Show the form by which applicants are invited, or invite them and show their links."""
    refuse_without_secret_key()
    position = position_of(access_key_of_path(access_key))
    if request.method == "GET":
        return _form(position, {"days": str(DAYS)}, {}, [])
    values = {name: request.form.get(name, "") for name in ("name", "email", "lines", "days")}
    errors: dict[str, str] = {}
    days = values["days"].strip() or str(DAYS)
    if not (days.isdecimal() and len(days) < 4 and 1 <= int(days) <= MOST_DAYS):
        field = "many-days" if request.form.get("many") else "days"
        errors[field] = f"This must be a whole number of days from 1 to {MOST_DAYS}."
    if request.form.get("many"):
        lines = _lines(position.access_key, values, errors)
    else:
        lines = _one(position.access_key, values, errors)
    wrong = [line for line in lines if line.error]
    if wrong or errors:
        return _form(position, values, errors, wrong)
    interviews = [InterviewKey(position.access_key, line.name, line.email) for line in lines]
    secrets, expires_at = make(
        service().database, position.access_key, [(one, {}) for one in interviews], int(days) * DAY
    )
    links = [link_of(secret) for secret in secrets]
    return _made(position, list(zip(interviews, links, strict=True)), expires_at)


def invitation(number: int) -> "AnyResponse":
    """Show an invitation, or the interview that has come of it."""
    found = _found(number)
    with service().database.reading() as session:
        interview = Found(session).number(found.interview)
        newest = Found(session).newest_invitation(found.interview)
        rights = rights_of(session, found.interview)
    if interview is not None:
        return go_to(f"{BOARD}/interviews/{interview}")
    if newest is not None and newest[0] != number:
        return go_to(f"{BOARD}/invitations/{newest[0]}")
    position = position_of(found.interview.access_key)
    return page(
        "invitation.html",
        position=position,
        number=number,
        found=found,
        rights=rights,
        url_of=url_of,
    )


def renew(number: int) -> Response:
    """Make a new link for an applicant, which ends the old one, and show it."""
    refuse_without_secret_key()
    interview = _found(number).interview
    position = position_of(interview.access_key)
    secrets, expires_at = make(
        service().database, interview.access_key, [(interview, {})], DAYS * DAY, again=True
    )
    return _made(position, [(interview, link_of(secrets[0]))], expires_at)


def withdraw(number: int) -> "AnyResponse":
    """End an applicant's link and tokens."""
    interview = _found(number).interview
    revoke(service().database, interview)
    return go_to(url_of(interview.access_key), "The invitation is withdrawn: its link is dead.")


def _found(number: int) -> InvitationRow:
    with service().database.reading() as session:
        found = Found(session).invitation(number)
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def _one(access_key: str, values: dict[str, str], errors: dict[str, str]) -> list[Line]:
    line = _checked(access_key, 1, values["name"], values["email"])
    if line.error:
        field = "email" if values["name"].strip() and "name" not in line.error else "name"
        errors[field] = line.error
        return []
    return [line]


def _lines(access_key: str, values: dict[str, str], errors: dict[str, str]) -> list[Line]:
    """Return the lines of the file, or else of the text."""
    file = request.files.get("file")
    text = values["lines"]
    if file is not None and file.filename:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            errors["file"] = (
                "This file is not in UTF-8. Save it as CSV in UTF-8, and choose it again."
            )
            return []
        values["lines"] = text
    try:
        read = _rows(text)
    except csv.Error:
        errors["lines"] = "This cannot be read as CSV."
        return []
    rows = [(number, row) for number, row in enumerate(read, 1) if any(map(str.strip, row))]
    if rows and len(rows[0][1]) > 1 and _is_heading(rows[0][1]):
        rows = [(number, row[::-1] if _is_turned(rows[0][1]) else row) for number, row in rows[1:]]
    if not rows:
        errors["lines"] = "There is nobody to invite here."
    elif len(rows) > MOST_AT_ONCE:
        errors["lines"] = f"These are {len(rows)} people; at most {MOST_AT_ONCE} are taken at once."
        return []
    lines: list[Line] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in rows:
        cells = [part.strip() for part in row]
        while len(cells) > 2 and not cells[-1]:
            cells.pop()
        if len(cells) != 2:
            lines.append(
                Line(number, ", ".join(cells), "", "A line has a name and an address, and no more.")
            )
            continue
        line = _checked(access_key, number, *cells)
        first = seen.setdefault((line.name, line.email), number)
        if first != number and not line.error:
            line = line._replace(error=f"The same person as in line {first}.")
        lines.append(line)
    return lines


def _rows(text: str) -> list[list[str]]:
    """Return the rows of a text whose first line says what stands between the columns."""
    first = text.strip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = io.StringIO(text, newline="")
    return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))


def _is_heading(row: list[str]) -> bool:
    words = {cell.strip().lower() for cell in row}
    return bool(words & NAMES and words & ADDRESSES)


def _is_turned(row: list[str]) -> bool:
    return row[0].strip().lower() in ADDRESSES


def _checked(access_key: str, number: int, name: str, email: str) -> Line:
    name, email = name.strip(), email.strip()
    if not name:
        return Line(number, name, email, "The name is missing.")
    if not email:
        return Line(number, name, email, "The e-mail address is missing.")
    before, at, after = email.partition("@")
    if not (before and at and after) or "@" in after or any(map(str.isspace, email)):
        return Line(number, name, email, "This is not an e-mail address.")
    try:
        interview_of_fields({"accessKey": access_key, "name": name, "email": email})
    except ApiError as error:
        return Line(number, name, email, str(error))
    return Line(number, name, email)


def _form(
    position: StoredPosition, values: dict[str, str], errors: dict[str, str], wrong: list[Line]
) -> Response:
    return page(
        "invite.html",
        400 if errors or wrong else 200,
        position=position,
        values=values,
        errors=errors,
        wrong=wrong,
        most=MOST_AT_ONCE,
        url_of=url_of,
    )


def _made(
    position: StoredPosition, made: list[tuple[InterviewKey, str]], expires_at: str
) -> Response:
    return page("invited.html", position=position, made=made, expires_at=expires_at, url_of=url_of)
