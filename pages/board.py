"""The recruiter's board: its routes, who is let in, and the answer to what goes wrong.

A page is made from the same functions as the API's answers. What makes the pages is loaded with the
first of them, as many services have no recruiter who uses it.
"""

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, redirect, request, session
from werkzeug.exceptions import HTTPException, NotFound

from access.board_sessions import BOARD
from access.errors import BoardOff, NotSignedIn, RateLimited, WrongKey
from access.guard import board_session, everybody
from errors import ApiError
from pages.page import from_here, render_english
from web.error_handlers import status_of
from web.errors import BadRequest
from web.service import service

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

log = logging.getLogger(__name__)

board = Blueprint("board", __name__, url_prefix=BOARD)

# Bytes of a form that has a key and nothing else.
MAX_SIGN_IN_BYTES = 8192

TOO_OLD = (
    "This page was open for too long, so that nothing was stored. Go back, load the page again, and"
    " send what you have written once more."
)


class ForgedForm(BadRequest):
    """A form without the token that the board's own forms have."""

    sentence = TOO_OLD


# The board's pages: a path, its methods, and the view in a module that is loaded with the first
# page.
PAGES = (
    ("", "GET", "board_positions", "positions"),
    ("/new_position", "GET POST", "board_positions", "new_position"),
    ("/positions/<access_key>/edit", "GET POST", "board_positions", "edit_position"),
    ("/positions/<access_key>/open", "POST", "board_positions", "open_position"),
    ("/positions/<access_key>", "GET", "board_applicants", "applicants"),
    ("/positions/<access_key>/applicants.csv", "GET", "board_applicants", "applicants_csv"),
    ("/positions/<access_key>/invite", "GET POST", "board_invitations", "invite"),
    ("/positions/<access_key>/compare", "GET", "board_applicants", "compare"),
    ("/positions/<access_key>/overview", "GET", "board_overview", "overview"),
    ("/invitations/<int:number>", "GET", "board_invitations", "invitation"),
    ("/invitations/<int:number>/renew", "POST", "board_invitations", "renew"),
    ("/invitations/<int:number>/withdraw", "POST", "board_invitations", "withdraw"),
    ("/interviews/<int:number>", "GET", "board_interview", "interview"),
    ("/interviews/<int:number>/score", "POST", "board_interview", "score"),
    ("/interviews/<int:number>/review", "POST", "board_interview", "review"),
    ("/interviews/<int:number>/decide", "POST", "board_interview", "decide"),
    ("/interviews/<int:number>/interview.json", "GET", "board_interview", "as_json"),
    ("/interviews/<int:number>/transcript.csv", "GET", "board_interview", "as_csv"),
    # A browser that has been shown a refused form stands at the form's address, and may reload it.
    ("/interviews/<int:number>/score", "GET", "board_interview", "back"),
    ("/interviews/<int:number>/review", "GET", "board_interview", "back"),
    ("/interviews/<int:number>/decide", "GET", "board_interview", "back"),
    ("/version", "GET", "board_version", "version"),
)


@cache
def _loaded_later(module: str, view: str) -> Callable[..., Any]:
    def serve(**path: Any) -> Any:  # noqa: ANN401  # as the view
        return getattr(import_module(f"pages.{module}"), view)(**path)

    return board_session(serve)


for _path, _methods, _module, _view in PAGES:
    board.add_url_rule(
        _path, f"{_module}-{_view}", _loaded_later(_module, _view), methods=_methods.split()
    )


@board.get("/<path:unknown>")
@board_session
def not_found(**_unknown: str) -> Response:
    """Answer an address that is none of the board's with a page, and not in JSON."""
    raise NotFound("There is no such page on the board.")


def page(template: str, status: int = 200, **values: object) -> Response:
    """Answer with a page of the board."""
    from flask_wtf.csrf import generate_csrf

    from pages.formats import FILTERS

    return render_english(
        f"board/{template}",
        status,
        csrf_token=generate_csrf,
        is_signed_in="key" in session,
        said=session.pop("said", None),
        **FILTERS,
        **values,
    )


def go_to(path: str, said: str | None = None) -> "AnyResponse":
    """Answer a form that was carried out: the browser asks for another page of the board.

    Args:
        path: The page's, from the service's own root.
        said: A sentence to be shown on it, once.

    """
    if said is not None:
        session["said"] = said
    return redirect(from_here(path), 303)


@board.before_request
def check_form() -> None:
    """Refuse a form that no page of this browser's session has shown.

    Raises:
        ForgedForm: It has no token, or that of another session.

    """
    if request.method != "POST":
        return
    from flask_wtf.csrf import validate_csrf

    request.max_form_memory_size = service().config.max_body_bytes
    if request.endpoint == "board.sign_in":
        request.max_content_length = MAX_SIGN_IN_BYTES
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValueError:  # as its errors are
        raise ForgedForm from None


@board.route("/sign_in", methods=["GET", "POST"])
@everybody
def sign_in() -> "AnyResponse":
    """Show the form for a key, and exchange a key for a session."""
    sessions = service().sessions
    sessions.refuse_where_off()
    goal = _own_path(request.args.get("next", ""))
    if not sessions.need_key or sessions.is_signed_in():
        return go_to(goal)
    if request.method == "GET":
        return page("sign_in.html", wrong=None)
    try:
        sessions.begin(request.form.get("key", "").strip())
    except (WrongKey, RateLimited) as error:
        return page("sign_in.html", status_of(type(error)), wrong=str(error))
    return go_to(goal)


@board.post("/sign_out")
@everybody
def sign_out() -> "AnyResponse":
    """End the session in this browser."""
    service().sessions.end()
    return go_to(f"{BOARD}/sign_in", "You have signed out.")


def _own_path(path: str) -> str:
    """Return a path of the board, which is the start page if anything else was given."""
    is_own = path == BOARD or path.startswith((f"{BOARD}/", f"{BOARD}?"))
    if not is_own or not path.isprintable() or "\\" in path or "/.." in path or "//" in path:
        return BOARD
    return path


@board.errorhandler(NotSignedIn)
def _ask_to_sign_in(_error: NotSignedIn) -> "AnyResponse":
    from urllib.parse import quote

    if request.method != "GET":
        return redirect(from_here(f"{BOARD}/sign_in"), 303)
    asked = request.full_path.rstrip("?")
    return redirect(from_here(f"{BOARD}/sign_in?next={quote(asked, safe='')}"), 303)


@board.errorhandler(ApiError)
def _show_api_error(error: ApiError) -> Response:
    if isinstance(error, BoardOff):
        return page("off.html", status_of(type(error)), sentence=str(error))
    response = page("error.html", status_of(type(error)), sentence=str(error))
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@board.errorhandler(HTTPException)
def _show_http_error(error: HTTPException) -> "AnyResponse":
    sentence = error.description or error.name
    return page("error.html", error.code or 500, sentence=sentence)


@board.errorhandler(Exception)
def _show_unexpected(_error: Exception) -> Response:
    log.exception("Unexpected error in %s %s", request.method, request.url_rule)
    sentence = "Something went wrong in the service. Please try again."
    return page("error.html", 500, sentence=sentence)
