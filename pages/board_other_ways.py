"""The board's page of somebody who has asked for another way, without interview or invitation."""

from flask import Response
from werkzeug.exceptions import NotFound

from pages.board import page
from pages.board_positions import url_of
from pages.queries import Found
from pages.seen_rights import rights_of
from positions.queries import Positions
from web.service import service


def other_way(number: int) -> Response:
    """Show who has asked."""
    with service().database.reading() as session:
        found = Found(session).another_way(number)
        if found is None:
            raise NotFound("There is no such request.")
        interview, _ = found
        position = Positions(session).get(interview.access_key)
        rights = rights_of(session, interview)
    return page(
        "other_way.html", interview=interview, position=position, rights=rights, url_of=url_of
    )
