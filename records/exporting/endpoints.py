"""The endpoints of exports, which recruiters' keys open.

What they need is loaded with the first request: most services are hardly ever asked.
"""

from collections.abc import Iterator
from itertools import chain

from flask import Blueprint, Response, request

from access.guard import key_needed
from db import AuditTrail, InterviewKey
from records.errors import NothingKept
from web.bodies import Json
from web.errors import BadField
from web.fields import access_key_of_path, interview_of_path
from web.service import service

exports = Blueprint("exports", __name__)

JSON = "application/json"
NDJSON = "application/x-ndjson"
ZIP = "application/zip"


@exports.get("/export_interview/<access_key>/<anything:name>/<email>")
@key_needed
def export_interview(access_key: str, name: str, email: str) -> Response:
    """Answer with everything that is kept on one person, as JSON or as ZIP."""
    (interview,) = interview_of_path(access_key, name, email)
    return with_vary(interview_answer(interview, is_zip=_asks_for_zip("json", JSON)))


@exports.get("/export_interviews/<access_key>")
@key_needed
def export_interviews(access_key: str) -> Response:
    """Answer with everything that is kept under an access key, piece by piece."""
    access_key = access_key_of_path(access_key)
    return with_vary(position_answer(access_key, is_zip=_asks_for_zip("ndjson", NDJSON)))


def interview_answer(interview: InterviewKey, *, is_zip: bool) -> Response:
    """Return everything that is kept on one person.

    Raises:
        NothingKept: There is nothing.

    """
    from records.exporting.document import as_bytes, as_text
    from records.exporting.reading import person

    document = person(service().database, interview)
    if document is None:
        raise NothingKept
    _note("interview.exported", interview.access_key, interview, is_zip=is_zip)
    if not is_zip:
        return Response(as_bytes(as_text(document)), content_type=JSON)
    from records.exporting.archive import of_person

    return as_file(Response(of_person(document), content_type=ZIP), f"{_name(document)}.zip")


def position_answer(access_key: str, *, is_zip: bool) -> Response:
    """Return everything that is kept under an access key, read as it is sent.

    Raises:
        NothingKept: There is nothing.

    """
    from records.exporting.reading import under

    batches = under(service().database, access_key)
    # A failure before the response begins has its status; one after it breaks the connection.
    first = next(batches, None)
    if first is None:
        raise NothingKept
    _note("position.exported", access_key, None, is_zip=is_zip)
    documents = chain([first], batches)
    name = f"interviews-{first[0]['digest'][:8]}"
    if is_zip:
        from records.exporting.archive import of_position

        return as_file(_streamed(of_position(documents), ZIP), f"{name}.zip")
    return as_file(_streamed(_lines(documents), NDJSON), f"{name}.ndjson")


def as_file(response: Response, name: str) -> Response:
    """Let browsers save the response under a name."""
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def with_vary(response: Response) -> Response:
    """Say that the response depends on `Accept`."""
    response.vary.add("Accept")
    return response


def _asks_for_zip(plain: str, mimetype: str) -> bool:
    wanted = request.args.get("format")
    if wanted is None:
        return request.accept_mimetypes.best_match([mimetype, ZIP]) == ZIP
    if wanted not in (plain, "zip"):
        raise BadField(f"format must be {plain} or zip.")
    return wanted == "zip"


def _note(action: str, access_key: str, interview: InterviewKey | None, *, is_zip: bool) -> None:
    """Store in the audit trail that it is handed out, before it is."""
    with service().database.transaction() as session:
        AuditTrail(session).add(access_key, action, interview, format="zip" if is_zip else "json")


def _name(document: Json) -> str:
    return f"interview-{document['digest'][:8]}"


def _streamed(pieces: Iterator[bytes], content_type: str) -> Response:
    response = Response(pieces, content_type=content_type)
    response.headers["X-Accel-Buffering"] = "no"  # else nginx collects what it passes on
    return response


def _lines(batches: Iterator[list[Json]]) -> Iterator[bytes]:
    from records.exporting.document import as_bytes, as_text

    for batch in batches:
        yield as_bytes("".join(f"{as_text(document)}\n" for document in batch))
