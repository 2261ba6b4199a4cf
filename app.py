"""The Flask app and its endpoints.

An endpoint reads its fields, calls `Interviews` and returns JSON. What cannot be done is raised,
and answered in `errors.py`.
"""

import sys

from flask import Blueprint, Flask, current_app
from werkzeug.routing import BaseConverter
from werkzeug.serving import WSGIRequestHandler

from config import Config, StartError, has_api_key, load
from db import open_database
from errors import register_error_handlers
from fields import (
    Json,
    access_key_of_path,
    idempotency_key,
    interview_and_text,
    interview_of_path,
    refuse_slashes,
)
from health import health
from interview import Interviews
from llm import LLM
from logs import register_request_log, set_up_logging
from metrics import register_metrics

api = Blueprint("api", __name__)


def create_app(config: Config | None = None) -> Flask:
    """Make the app.

    Raises:
        StartError: A setting or the database cannot be used.

    """
    config = config or load()
    set_up_logging()
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = AnythingConverter
    app.extensions["config"] = config
    app.extensions["database"] = database = open_database(config)
    app.extensions["interviews"] = Interviews(database, LLM(config), config)
    register_error_handlers(app)
    register_request_log(app)
    app.register_blueprint(api)
    app.register_blueprint(health)
    if config.metrics:
        register_metrics(app)
    return app


class AnythingConverter(BaseConverter):
    """A part of the path that may hold slashes anywhere, as a name may."""

    regex = r"[\s\S]+"  # a dot would leave out line breaks
    part_isolating = False


class QuietHandler(WSGIRequestHandler):
    """The development server without its own line a request, which holds names."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave it to our own."""


@api.post("/start_interview")
def start_interview() -> Json:
    """Start an interview, and answer with the interviewer's opening."""
    config = _config()
    interview, prompt = interview_and_text(config, "prompt", config.max_prompt_chars)
    refuse_slashes(interview)
    opening = _interviews().start(interview, prompt, idempotency_key())
    return {"status": "Interview has started", "system": opening}


@api.post("/reply")
def reply() -> Json:
    """Take an applicant's message, and answer with the interviewer's."""
    config = _config()
    interview, message = interview_and_text(config, "message", config.max_message_chars)
    return {"system": _interviews().reply(interview, message, idempotency_key())}


@api.get("/get_messages/<access_key>/<anything:name>/<email>")
def get_messages(access_key: str, name: str, email: str) -> Json:
    """Answer with the transcript: the prompt, then interviewer and applicant in turn."""
    transcript = _interviews().transcript(interview_of_path(access_key, name, email))
    return {
        "status": "success",
        "access_key": access_key,
        "message_count": len(transcript),
        "messages": [message._asdict() for message in transcript],
    }


@api.get("/interview_status/<access_key>/<anything:name>/<email>")
def interview_status(access_key: str, name: str, email: str) -> Json:
    """Answer with how far the interview is."""
    return {"status": _interviews().status(interview_of_path(access_key, name, email))}


@api.get("/get_applicants/<access_key>")
def get_applicants(access_key: str) -> Json:
    """Answer with everyone who has an interview under the access key."""
    applicants = _interviews().applicants(access_key_of_path(access_key))
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
    applicants = _interviews().finished(access_key_of_path(access_key))
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
    app.run(port=app.extensions["config"].port, debug=True, request_handler=QuietHandler)
