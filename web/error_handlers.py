"""The responses to errors: each error that another module raises becomes JSON here."""

import json
import logging
from collections.abc import Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from access.errors import RateLimited
from access.guard import subject_of_bad_requests
from errors import (
    ApiError,
    Conflict,
    Contradiction,
    Failed,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TimedOut,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from interviews.errors import AlreadyStarted
from web.errors import BadRequest
from web.service import service

log = logging.getLogger(__name__)

STATUSES: Mapping[type[ApiError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    TimedOut: 408,
    Conflict: 409,
    Gone: 410,
    Contradiction: 422,
    TooManyRequests: 429,
    Failed: 500,
    Unavailable: 503,
}

UNEXPECTED = {"error": "Internal server error"}


def register_error_handlers(app: Flask) -> None:
    """Make `app` answer every error on every route in JSON."""
    app.register_error_handler(ApiError, _answer_api_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)


def status_of(error: type[ApiError]) -> int:
    """Return the HTTP status of a kind of failure."""
    return next(STATUSES[kind] for kind in error.__mro__ if kind in STATUSES)


def event_of(error: Exception) -> dict[str, str]:
    """Return the data of the `error` event that ends a stream.

    The sentence is always under `error`; where the plain response has it under `message`, it is
    there as well.
    """
    if isinstance(error, ApiError):
        return {"error": str(error), **body_of(error)}
    log.error("Unexpected error in a response that had begun", exc_info=error)
    return UNEXPECTED


def body_of(error: ApiError) -> dict[str, str]:
    """Return the JSON object that the client reads."""
    # Clients know this one error by `message`.
    body = {"message" if isinstance(error, AlreadyStarted) else "error": str(error)}
    if error.reason is not None:
        body["reason"] = error.reason
    return body


def _answer_api_error(error: ApiError) -> Response:
    if isinstance(error, BadRequest):
        error = _counted(error)
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RateLimited):
        headers["RateLimit-Limit"] = str(error.limit)
        headers["RateLimit-Remaining"] = "0"
        headers["RateLimit-Reset"] = str(error.retry_after)
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="interviews"'
    elif isinstance(error, TimedOut):
        headers["Connection"] = "close"  # it is not known where the next request would begin
    return _response(body_of(error), status_of(type(error)), headers)


def _counted(error: BadRequest) -> ApiError:
    """Count a bad request, and return the error to answer: this one, until there are too many.

    Only bad requests are refused by their address; a good one passes whatever was counted, as many
    callers may share an address.
    """
    subject = subject_of_bad_requests()
    if subject is not None:
        try:
            service().limits.count_bad_request(subject)
        except RateLimited as too_many:
            return too_many
    return error


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
