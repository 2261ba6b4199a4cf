"""What a request brings, checked once: its body, its fields, its path, its Idempotency-Key.

What cannot be taken is raised, with a sentence that names it.
"""

import json
import math
from typing import Any, NoReturn
from urllib.parse import quote

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException, UnsupportedMediaType

from config import Config
from db import InterviewKey
from web.errors import BadField, BadJson, IncompleteParams, StalledBody

# Characters of the Idempotency-Key header, as in Stripe's API, which made it known.
MAX_IDEMPOTENCY_KEY_CHARS = 255

# Bytes of the three names in an interview's URL, percent-encoded. With what stands around them it
# must be within gunicorn.conf.py's `limit_request_line`.
MAX_URL_BYTES = 8000

# Seconds that an applicant's token opens its interview: a day, unless the request says otherwise.
TOKEN_LIFETIME = 86_400
MAX_TOKEN_LIFETIME = 30 * 86_400

Json = dict[str, Any]


def interview_and_text(config: Config, text_field: str, max_chars: int) -> tuple[InterviewKey, str]:
    """Return the interview that the body names, and its one further field.

    Raises:
        IncompleteParams: A field is missing, null or blank.
        BadField: A field cannot be taken.
        BadJson: The body is no JSON object.

    """
    body = _json_object()
    interview = _interview(config, body, text_field)
    return interview, _text(body, text_field, max_chars)


def interview_and_lifetime(config: Config) -> tuple[InterviewKey, int]:
    """Return the interview that the body names, and its `expiresIn`, in seconds."""
    body = _json_object()
    interview = _interview(config, body)
    lifetime = body.get("expiresIn")
    if lifetime is None:
        return interview, TOKEN_LIFETIME
    # To JSON 60.0 is a whole number; to Python true is one.
    is_whole = type(lifetime) is int or (type(lifetime) is float and lifetime.is_integer())
    if not (is_whole and 1 <= lifetime <= MAX_TOKEN_LIFETIME):
        raise BadField(f"expiresIn must be whole seconds from 1 to {MAX_TOKEN_LIFETIME}.")
    return interview, int(lifetime)


def interview_of_body(config: Config) -> InterviewKey:
    """Return the interview that the body names."""
    return _interview(config, _json_object())


def refuse_unreadable(interview: InterviewKey) -> None:
    """Refuse an interview that could not be read at its URL. A name may hold slashes."""
    access_key, name, email = interview
    for field, value in (("accessKey", access_key), ("email", email)):
        if "/" in value:
            raise BadField(f"{field} must not hold a slash: the interview's URL could not be read.")
    for field, value in (("accessKey", access_key), ("name", name), ("email", email)):
        # Browsers and HTTP clients take these out of a URL, percent-encoded or not.
        if value in (".", ".."):
            raise BadField(f"{field} must not be {value}: the interview's URL could not be read.")
    if len(quote("".join(interview), safe="")) > MAX_URL_BYTES:
        raise BadField("accessKey, name and email are too long for the interview's URL.")


def interview_of_path(access_key: str, name: str, email: str) -> InterviewKey:
    """Return the interview that a path names."""
    return InterviewKey(
        access_key_of_path(access_key),
        _part_of_key("name", _storable("name", name)),
        _part_of_key("email", _storable("email", email)),
    )


def access_key_of_path(access_key: str) -> str:
    """Return the access key that a path names."""
    return _part_of_key("access_key", _storable("access_key", access_key))


def idempotency_key() -> str | None:
    """Return the request's Idempotency-Key, if it has one."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise BadField(
            f"Idempotency-Key must have between 1 and {MAX_IDEMPOTENCY_KEY_CHARS} characters."
        )
    return _storable("Idempotency-Key", key)


def _interview(config: Config, body: Json, *further_fields: str) -> InterviewKey:
    key_fields = ("accessKey", "name", "email")
    for field in (*key_fields, *further_fields):
        value = body.get(field)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise IncompleteParams
    limit = config.max_key_chars
    return InterviewKey(*(_part_of_key(field, _text(body, field, limit)) for field in key_fields))


def _text(body: Json, field: str, max_chars: int) -> str:
    value = body[field]
    if not isinstance(value, str):
        raise BadField(f"{field} must be a string.")
    if len(value) > max_chars:
        raise BadField(f"{field} must not be longer than {max_chars} characters.")
    return _storable(field, value)


def _storable(field: str, value: str) -> str:
    """Return the value if every database can store it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadField(f"{field} must not hold half of a surrogate pair.") from None
    if "\0" in value:
        raise BadField(f"{field} must not hold NUL.")
    return value


def _part_of_key(field: str, value: str) -> str:
    """Return the value if it can name an interview.

    Broken UTF-8 in a URL becomes U+FFFD; different applicants could become the same.
    """
    if "\ufffd" in value:
        raise BadField(f"{field} must be valid UTF-8, without the replacement character U+FFFD.")
    return value


def _json_object() -> Json:
    """Return the request's body.

    Python's JSON knows more than JSON: NaN, Infinity, numbers beyond every float, and names that
    stand in an object twice, of which another reader might take the other one.
    """
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise UnsupportedMediaType("Send the body as it is, or chunked.")
    data = _body()
    try:
        body = json.loads(
            data.decode("utf-8-sig"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError):
        raise BadJson("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise BadJson("The body must be a JSON object.")
    return body


def _body() -> bytes:
    try:
        data = request.get_data()
        # A body without a length is cut at the limit; only reading on tells that there was more.
        request.stream.read(1)
    except ClientDisconnected:
        raise StalledBody from None
    except HTTPException:
        raise
    except (BlockingIOError, TimeoutError):  # a chunked body that did not come in time
        raise StalledBody from None
    except Exception as error:  # each server has its own for a body that makes no sense
        raise BadJson("The body could not be read.") from error
    if len(data) < (request.content_length or 0):
        raise StalledBody  # gunicorn takes the end of the connection for the end of the body
    return data


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def _object(members: list[tuple[str, Any]]) -> Json:
    value = dict(members)
    if len(value) < len(members):
        raise ValueError("a name stands there twice")
    return value
