"""Sessions of the recruiter's board: who may see its pages, and until when.

A session is a signed cookie of Flask's that only paths of the board get. It holds the beginning of
the key's hash and the time of signing in, and never the key. So nothing is stored, and a key that
is taken out of `API_KEYS` ends its sessions.
"""

import secrets
import time
from datetime import timedelta
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from access.api_keys import hash_of, is_one_of
from access.errors import BoardOff, NotSignedIn, WrongKey
from access.rate_limits import RateLimits
from config import Config
from monitoring import request_record

BOARD = "/board"

# Seconds from signing in to being signed out: a working day.
LIFETIME = 12 * 3600

# Digits of a key's hash by which a session names its key.
KEY_DIGITS = 16

# A proxy adds one of these; whoever comes through one is not on this machine.
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")

NEEDS_KEYS = (
    "Without API_KEYS, the board is open to browsers on the service's own machine only. Set"
    " API_KEYS (make key makes one) and SECRET_KEY, and sign in with a key."
)
NEEDS_SECRET_KEY = "The board needs the setting SECRET_KEY as well, which signs its sessions."  # noqa: S105


class BoardSessions:
    """The check of sessions, and their beginning and end."""

    def __init__(self, config: Config, limits: RateLimits) -> None:
        self._key_hashes = config.api_keys
        self._can_sign = bool(config.secret_key)
        self._limits = limits

    def check(self) -> None:
        """Let the request pass, or raise.

        Raises:
            BoardOff: There is no board, or not from where the request comes.
            NotSignedIn: It has no session, or one that has ended.

        """
        self.refuse_where_off()
        if not self._key_hashes:
            return
        if not self.is_signed_in():
            raise NotSignedIn
        request_record.current().caller = f"key {session['key'][:8]}"

    def is_signed_in(self) -> bool:
        """Return whether the browser has a session that has not ended."""
        key, since = session.get("key"), session.get("since")
        return (
            isinstance(since, int)
            and time.time() < since + LIFETIME
            and key in [_name_of(key_hash) for key_hash in self._key_hashes]
        )

    def refuse_where_off(self) -> None:
        """Refuse a request to where nobody can be signed in.

        Raises:
            BoardOff: A setting is missing.

        """
        if self._key_hashes:
            if not self._can_sign:
                raise BoardOff(NEEDS_SECRET_KEY)
        elif not is_from_this_machine():
            raise BoardOff(NEEDS_KEYS)

    @property
    def need_key(self) -> bool:
        """Whether one has to sign in."""
        return bool(self._key_hashes)

    def begin(self, key: str) -> None:
        """Begin a session, with nothing of what the browser had before.

        Raises:
            WrongKey: It is no key.
            RateLimited: There were too many of these from this address.

        """
        key_hash = hash_of(key)
        if not is_one_of(key_hash, self._key_hashes):
            self._limits.count_wrong_key(request.remote_addr or "")
            raise WrongKey
        session.clear()
        session.permanent = True
        session["key"] = _name_of(key_hash)
        session["since"] = int(time.time())

    def end(self) -> None:
        """End the session in this browser."""
        session.clear()


class BoardCookies(SecureCookieSessionInterface):
    """Flask's sessions, for paths of the board alone."""

    salt = "board-session"
    digest_method = staticmethod(sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request to the board; None for any other request."""
        if request.path != BOARD and not request.path.startswith(f"{BOARD}/"):
            return None
        return super().open_session(app, request)

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002  # as Flask calls it
        """Return whether the cookie may travel by TLS only."""
        return request.is_secure


def register_board_sessions(app: Flask, config: Config) -> None:
    """Let pages of the board have sessions."""
    signing, *accepted = config.secret_key or (secrets.token_urlsafe(),)
    app.config.update(
        SECRET_KEY=signing,
        SECRET_KEY_FALLBACKS=accepted,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=LIFETIME),
        SESSION_COOKIE_NAME="board",
        SESSION_COOKIE_PATH=urlsplit(config.public_url or "").path + BOARD,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session, from which they come
    )
    app.session_interface = BoardCookies()


def is_from_this_machine() -> bool:
    """Return whether the request comes from the machine that serves it, and not through a proxy.

    The host must be loopback too: else a page whose name an attacker lets point here could ask.
    """
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    host = urlsplit(f"//{request.host}").hostname or ""
    return _is_loopback(request.remote_addr or "") and (
        host == "localhost" or host.endswith(".localhost") or _is_loopback(host)
    )


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def _name_of(key_hash: bytes) -> str:
    return key_hash.hex()[:KEY_DIGITS]
