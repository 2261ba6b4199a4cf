"""The check of who calls: recruiters' systems by key, applicants by token, the board by session.

Every view declares by a decorator whom it is open to; a view that declares nothing serves nobody.
Without `API_KEYS` everybody may do everything, but for the board, which then opens on the service's
own machine only.
"""

import logging
from collections.abc import Callable
from enum import Enum, auto
from functools import wraps
from typing import Any, TypeVar, TypeVarTuple

from flask import Flask, current_app, g, request

from access.api_keys import hash_of, is_one_of
from access.applicant_tokens import ApplicantTokens, Opened
from access.board_sessions import BoardSessions
from access.errors import NotAllowed, TokenExpired, TokenRevoked, WrongCredential
from access.rate_limits import RateLimits, network_of
from config import Config
from db import InterviewKey
from monitoring import request_record

log = logging.getLogger(__name__)

# Characters that make a random secret too long to be guessed.
LONG_ENOUGH = 32

View = TypeVar("View", bound=Callable[..., Any])
Answer = TypeVar("Answer")
Further = TypeVarTuple("Further")


class Policy(Enum):
    """Whom a view is open to."""

    EVERYBODY = auto()
    KEY = auto()
    KEY_OR_OWN_TOKEN = auto()
    BOARD_SESSION = auto()


def everybody(view: View) -> View:
    """Open a view to everybody."""
    return _declare(Policy.EVERYBODY, view)


def key_needed(view: View) -> View:
    """Open a view to recruiters' keys alone."""
    return _declare(Policy.KEY, view)


def board_session(view: View) -> View:
    """Open a page of the recruiter's board to those who have signed in to it."""
    return _declare(Policy.BOARD_SESSION, view)


def key_or_own_token(
    read: Callable[..., tuple[InterviewKey, *Further]],
) -> Callable[[Callable[[InterviewKey, *Further], Answer]], Callable[..., Answer]]:
    """Open a view to recruiters' keys, and to the token of the interview that it is asked for.

    Args:
        read: Takes the parts of the path by their names, and returns the view's arguments, the
            interview first. It runs once the credential was found valid. The view runs only if the
            credential opens this interview.

    """

    def declare(view: Callable[[InterviewKey, *Further], Answer]) -> Callable[..., Answer]:
        @wraps(view)
        def guarded(**path: Any) -> Answer:  # noqa: ANN401  # a converter may return anything
            arguments = read(**path)
            if is_applicant() and g.token_digest != arguments[0].digest():
                raise NotAllowed
            return view(*arguments)

        return _declare(Policy.KEY_OR_OWN_TOKEN, guarded)

    return declare


def policy_of(view: Callable[..., Any]) -> Policy | None:
    """Return what a view declares; None if it declares nothing."""
    policy: Policy | None = vars(view).get("access_policy")
    return policy


def is_applicant() -> bool:
    """Return whether the caller came with an applicant's token."""
    return g.token_digest is not None


def erasure_seen() -> int | None:
    """Return the number of the interview's newest erasure as of when the token was found valid.

    None without a token: whoever holds a key may do anything at any time.
    """
    number: int | None = g.erasure
    return number


def subject_of_bad_requests() -> str | None:
    """Return whose bad requests the current one is counted with; None for the holder of a key.

    A recruiter's backend may call from the same address as applicants do, and must neither be
    stopped by their mistakes nor stop them by its own.
    """
    if g.has_key:
        return None
    return g.token_digest or network_of(request.remote_addr or "")


class Access:
    """The check of every request before its view runs."""

    def __init__(
        self,
        config: Config,
        tokens: ApplicantTokens,
        limits: RateLimits,
        sessions: BoardSessions,
    ) -> None:
        self._key_hashes = config.api_keys
        self._tokens = tokens
        self._limits = limits
        self._sessions = sessions

    def check(self) -> None:
        """Let the request pass, or raise.

        Raises:
            WrongCredential: It has no credential that opens anything.
            NotAllowed: Its token does not open this endpoint.
            NotSignedIn: It is for the board, and has no session there.
            BoardOff: There is no board, or not from where the request comes.
            RateLimited: There were too many wrong credentials from its address, or too many bad
                requests with its token.
            RuntimeError: Its view declares no policy.

        """
        g.token_digest = None
        g.erasure = None
        g.has_key = False
        if request.endpoint is None:
            return  # there is no such route, which everybody may know
        policy = policy_of(current_app.view_functions[request.endpoint])
        # Browsers ask with OPTIONS, and without credentials, whether they may send any.
        if request.method == "OPTIONS":
            return
        if policy is None:
            raise RuntimeError(f"The view of {request.endpoint} declares no access policy.")
        if policy is Policy.BOARD_SESSION:
            self._sessions.check()
            g.has_key = True
            return
        if policy is Policy.EVERYBODY or not self._key_hashes:
            return
        credentials = _credentials()
        if not credentials:
            raise WrongCredential
        for key_hash in map(hash_of, credentials):
            if is_one_of(key_hash, self._key_hashes):
                # Enough to recognize in the log which of several keys it was.
                request_record.current().caller = f"key {key_hash.hex()[:8]}"
                g.has_key = True
                return
        g.token_digest, g.erasure = self._opened_by(credentials[0])
        request_record.current().caller = "token"
        if policy is not Policy.KEY_OR_OWN_TOKEN:
            raise NotAllowed
        if request.method == "POST":
            # Before the body is read. It stops the one who holds the token, and nobody else.
            self._limits.refuse_after_bad_requests(g.token_digest)

    def _opened_by(self, token: str) -> Opened:
        try:
            return self._tokens.opened_by(token)
        except (TokenExpired, TokenRevoked):
            raise  # it was valid once, so it is no guess
        except WrongCredential:
            # Only wrong ones are counted, and a valid one is never refused: many callers may share
            # an address, and must not be able to lock each other out.
            self._limits.count_wrong_key(request.remote_addr or "")
            raise


def register_access(app: Flask, access: Access) -> None:
    """Let `access` check every request."""
    app.before_request(access.check)


def warn_of_weakness(config: Config) -> None:
    """Warn in the log, at the start, of what is open."""
    if not config.api_keys:
        log.warning(
            "THE API IS OPEN: whoever reaches it can read and write every interview. "
            "Set API_KEYS (`make key` makes one), or let only your own systems reach it."
        )
        if config.secret_key:
            log.warning("SECRET_KEY has no effect: applicants' tokens need API_KEYS as well.")
    if any(len(key) < LONG_ENOUGH for key in config.secret_key):
        log.warning("SECRET_KEY is shorter than %d characters: it may be guessed.", LONG_ENOUGH)


def _declare(policy: Policy, view: View) -> View:
    vars(view)["access_policy"] = policy
    return view


def _credentials() -> list[str]:
    """Return the keys or tokens of the request; of two, one valid key is enough."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = [bearer.strip() if scheme.lower() == "bearer" else "", request.headers.get("X-API-Key")]
    return [credential for credential in given if credential]
