"""The audit trail on the board: who has done what under an access key, in readable words."""

import json
from typing import NamedTuple

from flask import Response, request

from access.board_sessions import BOARD
from db import InterviewKey, Session, position_digest
from pages.board import page
from pages.board_positions import url_of
from pages.formats import DECISIONS, moment
from positions.endpoints import position_of
from records.audit_chain import link_if_possible
from records.audit_endpoints import as_csv
from records.audit_queries import AuditChains, Event
from web.fields import access_key_of_path
from web.service import service

EVENTS_IN_PAGE = 100

# Where the words that the action has are not those that a person would use.
WORDS = {
    "position.put": "Position saved",
    "decision.made": "Decision",
    "scorecard.needs_review": "Scorecard ready, needs review",
    "scorecard.failed": "Scoring failed",
}

ACTORS = {
    "applicant": "The applicant",
    "anyone": "Anyone (there are no keys)",
    "system": "The service",
}

# Names of a detail that says nothing to a person.
IDS = ("scorecard_id",)


class Line(NamedTuple):
    """An event, to be read."""

    place: int | None
    at: str
    who: str
    what: str
    detail: str
    subject: str


def trail(access_key: str) -> Response:
    """Show the events of a position, the newest first, a page at a time."""
    position = position_of(access_key_of_path(access_key))
    digest = position_digest(position.access_key)
    before = request.args.get("before", "")
    is_number = before.isascii() and before.isdigit() and len(before) < 16
    link_if_possible(service().database, digest)
    with service().database.reading() as session:
        chains = AuditChains(session)
        events = chains.newest(digest, int(before) if is_number else None, EVENTS_IN_PAGE + 1)
        shown = events[:EVENTS_IN_PAGE]
        people = _people(session, position.access_key, {one.subject for one in shown} - {""})
    return page(
        "trail.html",
        position=position,
        lines=list(map(_line, shown)),
        people=people,
        is_first=not is_number,
        next=shown[-1].sequence if len(events) > EVENTS_IN_PAGE else None,
        url_of=url_of,
    )


def trail_csv(access_key: str) -> Response:
    """Answer with all events of a position as CSV."""
    position = position_of(access_key_of_path(access_key))
    digest = position_digest(position.access_key)
    link_if_possible(service().database, digest)
    return as_csv(digest)


def lines_of(session: Session, interview: InterviewKey) -> list[Line]:
    """Return the newest events of one applicant, the newest first."""
    return list(map(_line, AuditChains(session).of_interview(interview, EVENTS_IN_PAGE)))


def _people(session: Session, access_key: str, digests: set[str]) -> dict[str, tuple[str, str]]:
    """Return the path and the name of each applicant that the events are about and who is there."""
    chains = AuditChains(session)
    held = chains.interviews(access_key, digests) if digests else {}
    invited = chains.invited(access_key, digests - set(held))
    return {
        **{one: (f"{BOARD}/invitations/{number}", name) for one, (number, name) in invited.items()},
        **{one: (f"{BOARD}/interviews/{number}", name) for one, (number, name) in held.items()},
    }


def _line(event: Event) -> Line:
    what = WORDS.get(event.action) or event.action.replace(".", " ").replace("_", " ").capitalize()
    who = ACTORS.get(event.actor) or event.actor.capitalize()
    return Line(event.sequence, event.at, who, what, _detail(event.detail), event.subject)


def _detail(text: str) -> str:
    try:
        detail = dict(json.loads(text or "{}"))
    except (TypeError, ValueError):  # somebody has changed it
        return ""
    told = []
    for name, value in detail.items():
        if name == "decision":
            told.append(DECISIONS.get(value, (value, ""))[0].lower())
        elif name == "expires_at":
            told.append(f"until {moment(value)}")
        elif name == "rubric_version":
            told.append(f"rubric version {value}" if value else "no rubric")
        elif name == "retention_days":
            told.append(f"kept for {value} days" if value else "kept until erased")
        elif name not in IDS:
            told.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(told)
