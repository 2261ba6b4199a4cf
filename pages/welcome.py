"""The start page: in a browser, what this is and the ways on; for programs there is none."""

import secrets
from typing import TYPE_CHECKING

from flask import Blueprint, redirect, request
from werkzeug.exceptions import NotFound

from access.board_sessions import is_from_this_machine
from access.guard import everybody
from pages.page import from_here, render_english
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

welcome = Blueprint("welcome", __name__)

# The position of a trial, made anew for each.
POSITION = {
    "title": "Shift lead in a small hotel (rehearsal)",
    "plan": {
        "objective": "Find out how the applicant organizes work with guests and colleagues.",
        "questions": [
            {"text": "Please tell me a little about yourself.", "followUps": 0},
            {"text": "What piece of work are you most proud of, and what was your own part?"},
            {"text": "Tell me about something that went wrong. What did you do then?"},
            {"text": "How do you like to work with other people?"},
        ],
    },
    "rubric": {
        "criteria": [
            {
                "id": "own_part",
                "title": "Own part",
                "definition": "Says what they did themselves, and what came of it.",
                "anchors": {
                    "1": "Speaks of work in general, or of what others did.",
                    "3": "Names a piece of work and a task of their own in it.",
                    "5": "Names task, steps and result, and why they chose these steps.",
                },
            },
            {
                "id": "problem_solving",
                "title": "Problem solving",
                "definition": "Says how they found out what was wrong, and what they did.",
                "anchors": {
                    "1": "Names no problem, or leaves it to others.",
                    "3": "Names a problem and what they did.",
                    "5": "Says how they found the cause, and what they changed for later.",
                },
            },
            {
                "id": "working_together",
                "title": "Working together",
                "definition": "Says how they work with others, also where it is difficult.",
                "anchors": {
                    "1": "Names nobody, or only blames others.",
                    "3": "Names a situation with others and what they did in it.",
                    "5": "Says what others needed, and what they changed in their own way.",
                },
            },
        ],
    },
    "scoring": "automatic",
}
NAME, EMAIL = "Alex Sample", "alex@example.com"
EXPIRES_IN = 86_400


@welcome.get("/")
@everybody
def start() -> "AnyResponse":
    """Answer with the start page, or, as there is nothing here for programs, with 404."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        raise NotFound
    return render_english("welcome.html", can_try=_can_try())


@welcome.post("/try")
@everybody
def try_it() -> "AnyResponse":
    """Make a position and an invitation to it, and go to the room that it opens."""
    # Another site's page may send forms here, but browsers say that they come from there.
    if not _can_try() or request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        raise NotFound
    from db import InterviewKey
    from invitations.inviting import invite
    from positions.endpoints import put
    from positions.position import PositionBody

    access_key = f"rehearsal-{secrets.token_hex(4)}"
    interview = InterviewKey(access_key, NAME, EMAIL)
    service().limits.count_start("rehearsal")
    put(access_key, PositionBody.model_validate(POSITION))
    made, _ = invite(service().database, access_key, [(interview, {})], EXPIRES_IN)
    return redirect(from_here(f"/interview#{made[0]}"), 303)


def _can_try() -> bool:
    """Return whether this is a rehearsal on the visitor's own machine."""
    config = service().config
    return config.is_rehearsal and not config.api_keys and is_from_this_machine()
