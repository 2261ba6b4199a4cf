"""What an open page of the board asks for, every few seconds, to learn whether anything is new."""

from typing import TYPE_CHECKING

from flask import Response, request

from pages.queries import Overviews
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse


def version() -> "AnyResponse":
    """Answer with an ETag that is another one once anything has changed, and nothing else."""
    with service().database.reading() as session:
        newest = Overviews(session).version()
    response = Response(status=204)
    response.set_etag(newest)
    return response.make_conditional(request)
