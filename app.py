"""The Flask app and the endpoints of interviews.

An endpoint gets its fields checked, calls `Interviews` and returns JSON, or, for a turn, events if
the request accepts them. A failure is raised, and answered in `web/error_handlers.py`.
"""

import sys
from collections.abc import Callable

from flask import Blueprint, Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.serving import WSGIRequestHandler, is_running_from_reloader

from access.applicant_tokens import ApplicantTokens
from access.board_sessions import BoardSessions, register_board_sessions
from access.errors import PromptNotAllowed
from access.guard import (
    Access,
    erasure_seen,
    is_applicant,
    key_needed,
    key_or_own_token,
    register_access,
    warn_of_weakness,
)
from access.rate_limits import RateLimits
from background.worker import Worker
from config import Config, StartError, has_api_key, load
from db import AuditTrail, InterviewKey, open_database
from interviews.interview import Interviews
from interviews.turns import Pieces, whole
from invitations.endpoints import invitations
from llm import LLM
from monitoring.logs import register_request_log, set_up_logging
from monitoring.metrics import register_metrics
from pages.board import board
from pages.explanation import explanation
from pages.page import pages
from pages.room import room
from pages.welcome import welcome
from positions.endpoints import positions
from records.audit_chain import AuditLinker
from records.audit_endpoints import audit
from records.endpoints import records
from records.erasure_endpoints import erasures
from records.erasure_handler import ErasureHandler
from records.exporting.endpoints import exports
from records.rights import rights
from scorecards.endpoints import scorecards
from scorecards.handler import ScorecardHandler
from web.bodies import Json
from web.browser_headers import register_browsers
from web.error_handlers import register_error_handlers
from web.event_stream import event_stream, is_wanted
from web.fields import (
    access_key_of_path,
    idempotency_key,
    interview_and_lifetime,
    interview_and_message,
    interview_and_prompt,
    interview_of_body,
    interview_of_path,
)
from web.health import health
from web.noted_reads import note_transcript
from web.openapi import openapi
from web.service import Service, register_service, service

api = Blueprint("api", __name__)


def create_app(config: Config | None = None) -> Flask:
    """Make the app.

    Raises:
        StartError: A setting or the database cannot be used.

    """
    config = config or load()
    set_up_logging()
    app = Flask(__name__, static_folder=None)
    app.debug = False  # even if FLASK_DEBUG is set; `python app.py` turns it on
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = AnythingConverter
    database = open_database(config)
    llm = LLM(config)
    scoring_llm = LLM(config, config.scoring_model) if config.scoring_model else llm
    scorecard_handler = ScorecardHandler(database, scoring_llm, config)
    interviews = Interviews(database, llm, config, [scorecard_handler.when_finished])
    tokens = ApplicantTokens(config.secret_key if config.api_keys else (), database)
    limits = RateLimits(config)
    sessions = BoardSessions(config, limits)
    worker = Worker(
        database, [scorecard_handler, ErasureHandler(database)], [AuditLinker(database)]
    )
    register_service(
        app,
        Service(config, database, llm, scoring_llm, interviews, tokens, limits, sessions, worker),
    )
    register_error_handlers(app)
    register_request_log(app)
    register_browsers(app, config)
    register_access(app, Access(config, tokens, limits, sessions))
    app.register_blueprint(api)
    app.register_blueprint(invitations)
    app.register_blueprint(positions)
    app.register_blueprint(records)
    app.register_blueprint(audit)
    app.register_blueprint(rights)
    app.register_blueprint(exports)
    app.register_blueprint(erasures)
    app.register_blueprint(scorecards)
    app.register_blueprint(explanation)
    app.register_blueprint(health)
    app.register_blueprint(openapi)
    if config.pages:
        app.register_blueprint(pages)
        app.register_blueprint(room)
        app.register_blueprint(welcome)
        app.register_blueprint(board)
        register_board_sessions(app, config)
    if config.metrics:
        register_metrics(app, key_needed)
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
        """Log nothing: the request log does."""


@api.post("/start_interview")
@key_or_own_token(interview_and_prompt)
def start_interview(interview: InterviewKey, prompt: str | None) -> Json | Response:
    """Start an interview, and answer with the interviewer's opening."""
    if prompt is not None and is_applicant():
        raise PromptNotAllowed
    service().limits.count_start(interview.access_key)
    streamed = is_wanted()
    opening = service().interviews.start(
        interview, prompt, idempotency_key(), streamed=streamed, erasure=erasure_seen()
    )
    return _turn(
        opening, streamed, lambda text: {"status": "Interview has started", "system": text}
    )


@api.post("/reply")
@key_or_own_token(interview_and_message)
def reply(interview: InterviewKey, message: str) -> Json | Response:
    """Take an applicant's message, and answer with the interviewer's."""
    service().limits.count_reply(interview)
    streamed = is_wanted()
    answer = service().interviews.reply(interview, message, idempotency_key(), streamed=streamed)
    return _turn(answer, streamed, lambda text: {"system": text})


@api.get("/get_messages/<access_key>/<anything:name>/<email>")
@key_or_own_token(interview_of_path)
def get_messages(interview: InterviewKey) -> Json:
    """Answer with the transcript: the prompt, then interviewer and applicant in turn."""
    # The prompt is the recruiter's.
    transcript = service().interviews.transcript(interview, with_prompt=not is_applicant())
    if transcript:
        note_transcript(interview)
    return {
        "status": "success",
        "access_key": interview.access_key,
        "message_count": len(transcript),
        "messages": [message.as_json() for message in transcript],
    }


@api.get("/interview_status/<access_key>/<anything:name>/<email>")
@key_or_own_token(interview_of_path)
def interview_status(interview: InterviewKey) -> Json:
    """Answer with how far the interview is."""
    return {"status": service().interviews.status(interview)}


@api.get("/get_applicants/<access_key>")
@key_needed
def get_applicants(access_key: str) -> Json:
    """Answer with everyone who has an interview under the access key."""
    applicants = service().interviews.applicants(access_key_of_path(access_key))
    return {
        "status": "success",
        "applicants": [
            {"name": name, "email": email, "is_finished": int(is_finished)}
            for name, email, is_finished in applicants
        ],
    }


@api.get("/finished_interviews/<access_key>")
@key_needed
def finished_interviews(access_key: str) -> Json:
    """Answer with everyone whose interview under the access key is finished."""
    applicants = service().interviews.finished(access_key_of_path(access_key))
    return {
        "status": "success",
        "finished_interviews": [{"name": name, "email": email} for name, email, _ in applicants],
    }


@api.post("/applicant_token")
@key_needed
def applicant_token() -> Json:
    """Issue a token by which an applicant's browser may hold one interview."""
    interview, lifetime = interview_and_lifetime()
    service().limits.count_token(interview.access_key)
    token, expires_at = service().tokens.issue(interview, lifetime)
    expiry = expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    # Stored before anybody has the token.
    with service().database.transaction() as session:
        AuditTrail(session).add(interview.access_key, "token.issued", interview, expires_at=expiry)
    return {"token": token, "expires_at": expiry}


@api.post("/revoke_applicant_token")
@key_needed
def revoke_applicant_token() -> Json:
    """Make all tokens that an interview has so far invalid."""
    service().tokens.revoke(interview_of_body())
    return {"status": "success"}


def _turn(pieces: Pieces, streamed: bool, body: Callable[[str], Json]) -> Json | Response:
    """Answer with the interviewer's words: as they come, or once all are there."""
    return event_stream(pieces, body, service().config) if streamed else body(whole(pieces))


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
    parts = service(app)
    if parts.config.worker and is_running_from_reloader():  # its parent serves nothing
        parts.worker.start()
    try:
        app.run(port=parts.config.port, debug=True, request_handler=QuietHandler)
    finally:
        parts.worker.stop()
        parts.worker.join()
