"""The Flask app and its endpoints.

An endpoint reads its fields, calls `Interviews` and returns JSON, or, for a turn, events if that is
what the request accepts. What cannot be done is raised, and answered in `errors.py`.
"""

import sys
from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.serving import WSGIRequestHandler

from access.applicant_tokens import ApplicantTokens
from access.guard import Access, allow, is_applicant, register_access, warn_of_weakness
from access.rate_limits import RateLimits
from config import Config, StartError, has_api_key, load
from db import open_database
from interviews.interview import Interviews
from interviews.turns import Pieces, whole
from llm import LLM
from monitoring.logs import register_request_log, set_up_logging
from monitoring.metrics import register_metrics
from web.browser_headers import register_browsers
from web.error_handlers import register_error_handlers
from web.event_stream import event_stream, is_wanted
from web.fields import (
    Json,
    access_key_of_path,
    idempotency_key,
    interview_and_lifetime,
    interview_and_text,
    interview_of_body,
    interview_of_path,
    refuse_unreadable,
)
from web.health import health
from web.openapi import openapi

api = Blueprint("api", __name__)


def create_app(config: Config | None = None) -> Flask:
    """Make the app.

    Raises:
        StartError: A setting or the database cannot be used.

    """
    config = config or load()
    set_up_logging()
    app = Flask(__name__, static_folder=None)
    app.debug = False  # whatever FLASK_DEBUG says; `python app.py` turns it on
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = AnythingConverter
    app.extensions["config"] = config
    app.extensions["database"] = database = open_database(config)
    app.extensions["interviews"] = Interviews(database, LLM(config), config)
    app.extensions["applicant_tokens"] = tokens = ApplicantTokens(
        config.secret_key if config.api_keys else (), database
    )
    app.extensions["rate_limits"] = limits = RateLimits(app, config)
    register_error_handlers(app)
    register_request_log(app)
    register_browsers(app, config)
    register_access(app, Access(config, tokens, limits))
    app.register_blueprint(api)
    app.register_blueprint(health)
    app.register_blueprint(openapi)
    if config.metrics:
        register_metrics(app)
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0, x_prefix=0
        )
    warn_of_weakness(config)
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
def start_interview() -> Json | Response:
    """Start an interview, and answer with the interviewer's opening."""
    config = _config()
    interview, prompt = interview_and_text(config, "prompt", config.max_prompt_chars)
    refuse_unreadable(interview)
    _rate_limits().count_start(interview.access_key)
    streamed = is_wanted()
    opening = _interviews().start(interview, prompt, idempotency_key(), streamed=streamed)
    return _turn(
        opening, streamed, lambda text: {"status": "Interview has started", "system": text}
    )


@api.post("/reply")
def reply() -> Json | Response:
    """Take an applicant's message, and answer with the interviewer's."""
    config = _config()
    interview, message = interview_and_text(config, "message", config.max_message_chars)
    allow(interview)
    _rate_limits().count_reply(interview)
    streamed = is_wanted()
    answer = _interviews().reply(interview, message, idempotency_key(), streamed=streamed)
    return _turn(answer, streamed, lambda text: {"system": text})


@api.get("/get_messages/<access_key>/<anything:name>/<email>")
def get_messages(access_key: str, name: str, email: str) -> Json:
    """Answer with the transcript: the prompt, then interviewer and applicant in turn."""
    interview = interview_of_path(access_key, name, email)
    allow(interview)
    # The prompt is the recruiter's.
    transcript = _interviews().transcript(interview, with_prompt=not is_applicant())
    return {
        "status": "success",
        "access_key": access_key,
        "message_count": len(transcript),
        "messages": [message._asdict() for message in transcript],
    }


@api.get("/interview_status/<access_key>/<anything:name>/<email>")
def interview_status(access_key: str, name: str, email: str) -> Json:
    """Answer with how far the interview is."""
    interview = interview_of_path(access_key, name, email)
    allow(interview)
    return {"status": _interviews().status(interview)}


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


@api.post("/applicant_token")
def applicant_token() -> Json:
    """Issue a token by which an applicant's browser may hold one interview."""
    interview, lifetime = interview_and_lifetime(_config())
    refuse_unreadable(interview)
    _rate_limits().count_token(interview.access_key)
    token, expires_at = _applicant_tokens().issue(interview, lifetime)
    return {"token": token, "expires_at": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")}


@api.post("/revoke_applicant_token")
def revoke_applicant_token() -> Json:
    """Make all tokens that an interview has so far invalid."""
    _applicant_tokens().revoke(interview_of_body(_config()))
    return {"status": "success"}


def _turn(pieces: Pieces, streamed: bool, body: Callable[[str], Json]) -> Json | Response:
    """Answer with what the interviewer says: as it comes, or once it is all there."""
    return event_stream(pieces, body, _config()) if streamed else body(whole(pieces))


def _interviews() -> Interviews:
    interviews: Interviews = current_app.extensions["interviews"]
    return interviews


def _applicant_tokens() -> ApplicantTokens:
    tokens: ApplicantTokens = current_app.extensions["applicant_tokens"]
    return tokens


def _rate_limits() -> RateLimits:
    limits: RateLimits = current_app.extensions["rate_limits"]
    return limits


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config


if __name__ == "__main__" and "--rehearse" in sys.argv and not has_api_key():
    from openai_api.rehearsal import stand_in_for_openai

    stand_in_for_openai()

try:
    app = create_app()
except StartError as error:
    print(f"The service cannot start. {error}", file=sys.stderr)
    # gunicorn's own status for an app that does not load. Any other makes it try for ever.
    sys.exit(4)

if __name__ == "__main__":
    app.run(port=app.extensions["config"].port, debug=True, request_handler=QuietHandler)
