"""A request's body: read within its limit, parsed as strict JSON, and checked against a model.

A body costs little before it is known to be one: its size follows from what the endpoint can use,
the values in it are counted before any is built, and of the large ones few are parsed at once.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException, UnsupportedMediaType

from web.errors import BadField, BadJson, StalledBody
from web.service import service

if TYPE_CHECKING:
    # The models of an endpoint load it; the service itself can start without it.
    from pydantic import BaseModel

    Model = TypeVar("Model", bound=BaseModel)

Json = dict[str, Any]

# Bytes of a character in JSON at most: one beyond U+FFFF, escaped as two halves (\ud83d\ude00).
BYTES_PER_CHARACTER = 12

# Bytes for the names of fields, white space, and fields of the client's own.
SPARE_BYTES = 4096

# Values, in lists and objects at any depth, that a body may have. Ten times what the largest plan
# of an interview has; the smallest values would take 40 times the memory of the text.
MAX_VALUES = 5_000

# Bytes from which on a body is large, and large bodies that one process parses at once: while one
# is parsed, it takes up to ten times its size, and more at once would not be parsed any sooner.
LARGE_BODY = 65_536
LARGE_BODIES_AT_ONCE = 2

_large_bodies = BoundedSemaphore(LARGE_BODIES_AT_ONCE)

# The sentences for values that a model does not accept, by pydantic's names of the reasons.
SENTENCES: Mapping[str, str] = {
    "missing": "is missing.",
    "extra_forbidden": "is not known.",
    "string_type": "must be a string.",
    "string_unicode": "must not hold half of a surrogate pair.",
    "string_too_long": "must not be longer than {max_length} characters.",
    "string_too_short": "must have at least {min_length} characters.",
    "int_type": "must be a whole number.",
    "float_type": "must be a number.",
    "bool_type": "must be true or false.",
    "list_type": "must be a list.",
    "dict_type": "must be an object.",
    "model_type": "must be an object.",
    "too_long": "must not have more than {max_length} items.",
    "too_short": "must have at least {min_length} items.",
    "greater_than": "must be more than {gt}.",
    "greater_than_equal": "must be {ge} or more.",
    "less_than": "must be less than {lt}.",
    "less_than_equal": "must be {le} or less.",
    "literal_error": "must be {expected}.",
    "value_error": "{error}",
}


def bytes_for(characters: int) -> int:
    """Return the bytes that a body may have whose fields have so many characters together."""
    return SPARE_BYTES + BYTES_PER_CHARACTER * characters


def body_as(model: "type[Model]", max_bytes: int | None = None) -> "Model":
    """Return the body as the model describes it; fields that it does not name are ignored.

    Args:
        model: A model of pydantic's.
        max_bytes: The most that the body may have; never more than `MAX_BODY_BYTES`.

    Raises:
        BadJson: The body is not a JSON object.
        BadField: A value cannot be accepted; the sentence names its place.

    """
    return checked(model, json_object(max_bytes))


def checked(model: "type[Model]", body: Json) -> "Model":
    """Return a body that has been read as the model describes it.

    Types are strict, as JSON has them: "5" is no number. A validator of the model raises
    `ValueError` with what its sentence says behind the field's name: "must not be blank."

    Raises:
        BadField: A value cannot be accepted; the sentence names its place.

    """
    from pydantic import ValidationError

    try:
        value = model.model_validate(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = place_of(first["loc"]) or "The body"
        raise BadField(f"{place} {sentence_of(first)}") from None
    for place, text in _strings(value.model_dump(by_alias=True), ""):
        storable(place, text)
    return value


def json_object(max_bytes: int | None = None) -> Json:
    """Return the request's body, a JSON object.

    Python's JSON knows more than JSON: NaN, Infinity, numbers beyond every float, and names that
    stand in an object twice, of which another reader might take the other one.

    Args:
        max_bytes: The most that the body may have; never more than `MAX_BODY_BYTES`.

    """
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise UnsupportedMediaType("Send the body as it is, or chunked.")
    data = _body(max_bytes)
    _refuse_many_values(data)
    with _slot_for(len(data)):
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


def sentence_of(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, from one of pydantic's errors: `must not be blank.`"""
    sentence = SENTENCES.get(error["type"])
    if sentence is None:
        return f"cannot be accepted: {error['msg']}."
    return sentence.format(**error.get("ctx", {}))


def place_of(steps: tuple[str | int, ...]) -> str:
    """Return the name of a place in the body, such as `plan.questions[3].text`."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return name.removeprefix(".")


def storable(field: str, value: str) -> str:
    """Return the value if every database can store it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadField(f"{field} must not hold half of a surrogate pair.") from None
    if "\0" in value:
        raise BadField(f"{field} must not hold NUL.")
    return value


def _body(max_bytes: int | None) -> bytes:
    if max_bytes is not None:
        request.max_content_length = min(max_bytes, service().config.max_body_bytes)
    try:
        # Not kept for others: there are none, and the model may take a minute to answer.
        data = request.get_data(cache=False)
        # A body without a length is cut at the limit; only reading on shows that there was more.
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


def _refuse_many_values(data: bytes) -> None:
    """Refuse a body of more values than any endpoint uses, before one of them is built."""
    if _most_values(data) <= MAX_VALUES:
        return
    # Many may stand in strings, which do not count. Without what is escaped in them, strings are
    # what is between quotes.
    data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # Each value and each name is one string at most; splitting costs memory for each of them.
    if (
        data.count(b'"') > 4 * MAX_VALUES
        or _most_values(b"".join(data.split(b'"')[::2])) > MAX_VALUES
    ):
        raise BadJson(f"The body must not have more than {MAX_VALUES} values.")


def _most_values(data: bytes) -> int:
    """Return how many values there are at most: each comes after one of these."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _slot_for(size: int) -> AbstractContextManager[object]:
    return _large_bodies if size > LARGE_BODY else nullcontext()


def _strings(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Return every string within a value, names included, each with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield f"A name in {place or 'the body'}", name
            yield from _strings(member, f"{place}.{name}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for number, member in enumerate(value):
            yield from _strings(member, f"{place}[{number}]")


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
