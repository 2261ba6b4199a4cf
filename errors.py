"""Every error that the API answers with, and its JSON.

The other modules raise; one handler here turns what they raise into a response.
"""

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)

UNEXPECTED = {"error": "Internal server error"}


class ApiError(Exception):
    """A failure that the client is told about: a status, and a sentence under `error`."""

    status = 400
    sentence = "Bad request."
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)

    def body(self) -> dict[str, str]:
        """Return the JSON object that the client reads."""
        return {"error": str(self)}


class BadJson(ApiError):
    """The request's body is not a JSON object."""


class IncompleteParams(ApiError):
    """A field that the request needs is missing, null or blank."""

    sentence = "incomplete params"


class BadField(ApiError):
    """A field's type, length or characters cannot be taken; the sentence names the field."""


class AlreadyStarted(ApiError):
    """The applicant's interview exists."""

    sentence = "Interview already started or exists for this user"

    def body(self) -> dict[str, str]:
        """Return the sentence under `message`: clients know this one error so."""
        return {"message": str(self)}


class WrongCredential(ApiError):
    """Neither a key nor a token that opens anything: one answer, whatever is wrong with it."""

    status = 401
    sentence = (
        "A valid API key or applicant's token is needed, "
        "as Authorization: Bearer <key> or as X-API-Key: <key>."
    )
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="interviews"'})


class TokenExpired(WrongCredential):
    """An applicant's token past its time. Only who has had a true one learns so."""

    sentence = "The token has expired."


class TokenRevoked(WrongCredential):
    """An applicant's token that was revoked. Only who has had a true one learns so."""

    sentence = "The token has been revoked."


class NotAllowed(ApiError):
    """An applicant's token for what it does not open."""

    status = 403
    sentence = "The token opens one interview's reply, get_messages and interview_status only."


class TokensOff(ApiError):
    """There are no applicants' tokens here."""

    status = 404
    sentence = "Applicants' tokens are off: they need the settings API_KEYS and SECRET_KEY."


class RateLimited(ApiError):
    """More requests than a limit allows; nothing was done, and the client may send again later."""

    status = 429

    def __init__(self, sentence: str, limit: int, reset: int) -> None:
        """Say so.

        Args:
            sentence: What there was too much of.
            limit: How many are allowed.
            reset: Seconds until there may be more.

        """
        super().__init__(f"{sentence} Nothing was stored; please try again in {reset} s.")
        self.headers = {
            "Retry-After": str(reset),
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(reset),
        }


class NotStarted(ApiError):
    """A reply to an interview that nobody started."""

    status = 404
    sentence = "Cannot reply, no interview history found."


class Finished(ApiError):
    """A reply to an interview that the interviewer has closed."""

    status = 409
    sentence = "The interview is finished. It takes no more replies."


class TranscriptFull(ApiError):
    """A reply that would make the transcript longer than it may be."""

    status = 409


class Superseded(ApiError):
    """Words were told, but before all were there something else was stored.

    Another process was faster, or the applicant has said more meanwhile.
    """

    status = 409
    sentence = (
        "What was told is not stored, as the interview has gone on. Please read its messages."
    )


class KeyReused(ApiError):
    """An `Idempotency-Key` that stands for another request."""

    status = 422
    sentence = "This Idempotency-Key was used in this interview for another request."


class StalledBody(ApiError):
    """The client stopped sending before its body was complete."""

    status = 408
    sentence = "The body did not come in time. Nothing was stored; please send it again."
    # Where the next request would begin is not known.
    headers = MappingProxyType({"Connection": "close"})


class Overloaded(ApiError):
    """This process has as many turns under way as it may."""

    status = 503
    sentence = (
        "Too many interviews are waiting for an answer. Nothing was stored; please try again."
    )
    headers = MappingProxyType({"Retry-After": "2"})  # seconds


class DatabaseUnavailable(ApiError):
    """The database cannot do at the moment what was asked; what it has acknowledged is kept."""

    status = 503
    headers = MappingProxyType({"Retry-After": "5"})  # seconds

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The database is not available ({reason}). "
            "What was stored before is kept. Please try again."
        )


def body_of(error: Exception) -> dict[str, str]:
    """Return what the client reads of an error that comes after the response has begun."""
    if isinstance(error, ApiError):
        return error.body()
    log.error("Unexpected error in a response that had begun", exc_info=error)
    return UNEXPECTED


def register_error_handlers(app: Flask) -> None:
    """Make `app` answer every error in JSON, whatever the route."""
    app.register_error_handler(ApiError, _answer_api_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)


def _answer_api_error(error: ApiError) -> Response:
    return _response(error.body(), error.status, error.headers)


def _answer_http_error(error: HTTPException) -> Response | HTTPException:
    """Keep status and headers (`Allow`, for one) of Flask's own errors; their HTML becomes JSON."""
    if error.code is None or error.code < 400:
        return error
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    if error.code == 413:
        headers["Connection"] = "close"  # the rest of the body is not read
    return _response({"error": error.description or error.name}, error.code, headers)


def _answer_unexpected(_error: Exception) -> Response:
    # The route and not the URL: that holds a name and an e-mail address.
    log.exception("Unexpected error in %s %s", request.method, request.url_rule)
    return _response(UNEXPECTED, 500, {})


def _response(body: dict[str, str], status: int, headers: Mapping[str, str]) -> Response:
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return Response(text, status, dict(headers), mimetype="application/json")
