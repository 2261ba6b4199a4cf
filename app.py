"""The Flask app and its endpoints.

An endpoint reads its fields, calls `Interviews` and returns JSON. What cannot be done is raised,
and answered in `errors.py`.
"""

import json
import logging
import sys
from typing import Any, NoReturn

from flask import Blueprint, Flask, current_app, request
from werkzeug.exceptions import UnsupportedMediaType
from werkzeug.routing import BaseConverter

from config import Config, StartError, has_api_key, load
from db import InterviewKey, open_database
from errors import BadField, BadJson, IncompleteParams, register_error_handlers
from interview import Interviews
from llm import LLM

# Characters of the Idempotency-Key header, as in Stripe's API, which made it known.
MAX_IDEMPOTENCY_KEY_CHARS = 255

Json = dict[str, Any]

api = Blueprint("api", __name__)


def create_app(config: Config | None = None) -> Flask:
    """Make the app.

    Raises:
        StartError: A setting or the database cannot be used.

    """
    config = config or load()
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stdout,
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it has a line for every call

    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = AnythingConverter
    app.extensions["config"] = config
    app.extensions["interviews"] = Interviews(open_database(config), LLM(config), config)
    register_error_handlers(app)
    app.register_blueprint(api)
    return app


class AnythingConverter(BaseConverter):
    """A part of the path that may hold slashes anywhere, as a name may."""

    regex = r"[\s\S]+"  # a dot would leave out line breaks
    part_isolating = False


@api.post("/start_interview")
def start_interview() -> Json:
    """Start an interview, and answer with the interviewer's opening."""
    config = _config()
    interview, prompt = _interview_and("prompt", config.max_prompt_chars)
    for field, value in (("accessKey", interview.access_key), ("email", interview.email)):
        if "/" in value:
            raise BadField(f"{field} must not hold a slash: the interview's URL could not be read.")
    opening = _interviews().start(interview, prompt, _idempotency_key())
    return {"status": "Interview has started", "system": opening}


@api.post("/reply")
def reply() -> Json:
    """Take an applicant's message, and answer with the interviewer's."""
    config = _config()
    interview, message = _interview_and("message", config.max_message_chars)
    return {"system": _interviews().reply(interview, message, _idempotency_key())}


@api.get("/get_messages/<access_key>/<anything:name>/<email>")
def get_messages(access_key: str, name: str, email: str) -> Json:
    """Answer with the transcript: the prompt, then interviewer and applicant in turn."""
    transcript = _interviews().transcript(_interview_of_path(access_key, name, email))
    return {
        "status": "success",
        "access_key": access_key,
        "message_count": len(transcript),
        "messages": [message._asdict() for message in transcript],
    }


@api.get("/interview_status/<access_key>/<anything:name>/<email>")
def interview_status(access_key: str, name: str, email: str) -> Json:
    """Answer with how far the interview is."""
    return {"status": _interviews().status(_interview_of_path(access_key, name, email))}


@api.get("/get_applicants/<access_key>")
def get_applicants(access_key: str) -> Json:
    """Answer with everyone who has an interview under the access key."""
    applicants = _interviews().applicants(_storable("access_key", access_key, is_key=True))
    return {
        "status": "success",
        "applicants": [
            {"name": name, "email": email, "is_finished": int(is_finished)}
            for name, email, is_finished in applicants
        ],
    }


@api.get("/finished_interviews/<access_key>")
def finished_interviews(access_key: str) -> Json:
    """Answer with everyone whose interview under the access key is finished."""
    applicants = _interviews().finished(_storable("access_key", access_key, is_key=True))
    return {
        "status": "success",
        "finished_interviews": [{"name": name, "email": email} for name, email, _ in applicants],
    }


def _interviews() -> Interviews:
    interviews: Interviews = current_app.extensions["interviews"]
    return interviews


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


def _interview_and(text_field: str, max_chars: int) -> tuple[InterviewKey, str]:
    """Return the request's interview and its one further field.

    Raises:
        IncompleteParams: A field is missing, null or blank.
        BadField: A field cannot be taken.

    """
    body = _json_object()
    key_fields = ("accessKey", "name", "email")
    for field in (*key_fields, text_field):
        value = body.get(field)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise IncompleteParams
    limit = _config().max_key_chars
    interview = InterviewKey(*(_text(body, field, limit, is_key=True) for field in key_fields))
    return interview, _text(body, text_field, max_chars)


def _text(body: Json, field: str, max_chars: int, *, is_key: bool = False) -> str:
    value = body[field]
    if not isinstance(value, str):
        raise BadField(f"{field} must be a string.")
    if len(value) > max_chars:
        raise BadField(f"{field} must not be longer than {max_chars} characters.")
    return _storable(field, value, is_key=is_key)


def _interview_of_path(access_key: str, name: str, email: str) -> InterviewKey:
    return InterviewKey(
        _storable("access_key", access_key, is_key=True),
        _storable("name", name, is_key=True),
        _storable("email", email, is_key=True),
    )


def _storable(field: str, value: str, *, is_key: bool = False) -> str:
    """Return the value if every database can store it.

    In what names an interview, U+FFFD is no character either: broken UTF-8 in a URL becomes one,
    and different applicants could become the same.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadField(f"{field} must not hold half of a surrogate pair.") from None
    if "\0" in value:
        raise BadField(f"{field} must not hold NUL.")
    if is_key and "\ufffd" in value:
        raise BadField(f"{field} must be valid UTF-8, without the replacement character U+FFFD.")
    return value


def _json_object() -> Json:
    """Return the request's body.

    Raises:
        BadJson: It is no JSON object. NaN and Infinity are no JSON either.
        RequestEntityTooLarge: It is larger than `MAX_BODY_BYTES`.
        UnsupportedMediaType: It does not claim to be JSON.

    """
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
    data = request.get_data()
    # A body without a length is cut at the limit; only reading on tells that there was more.
    request.stream.read(1)
    try:
        body = json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadJson("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise BadJson("The body must be a JSON object.")
    return body


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY_CHARS:
        raise BadField(
            f"Idempotency-Key must have between 1 and {MAX_IDEMPOTENCY_KEY_CHARS} characters."
        )
    return key


if __name__ == "__main__" and "--rehearse" in sys.argv and not has_api_key():
    from rehearsal import stand_in_for_openai

    stand_in_for_openai()

try:
    app = create_app()
except StartError as error:
    print(f"The service cannot start. {error}", file=sys.stderr)
    # gunicorn's own status for an app that does not load. Any other makes it try for ever.
    sys.exit(4)

if __name__ == "__main__":
    app.run(port=app.extensions["config"].port, debug=True)
