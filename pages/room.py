"""The applicant's room: one page that holds an interview by the API, like any other client.

The page is the same for everybody. It learns whose it is from the secret in the URL's fragment,
which no request has, and sets no cookie.
"""

from flask import Blueprint, Response

from access.guard import everybody
from pages.page import render
from positions.languages import NAMES_OF_LANGUAGES
from web.fields import MAX_NOTE_CHARS
from web.service import service

room = Blueprint("room", __name__)


@room.get("/interview")
@everybody
def interview() -> Response:
    """Answer with the room."""
    config = service().config
    return render(
        "room.html",
        contact=config.contact,
        max_message_chars=config.max_message_chars,
        max_note_chars=MAX_NOTE_CHARS,
        names=NAMES_OF_LANGUAGES,
    )
