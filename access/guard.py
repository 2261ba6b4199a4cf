"""Who calls, and what the caller may do: recruiters' systems by key, applicants by token.

Without `API_KEYS` everybody may do everything. With it, whatever is not named here needs a key.
"""

import logging

from flask import Flask, g, request

from access.api_keys import hash_of, is_one_of
from access.applicant_tokens import ApplicantTokens
from access.errors import NotAllowed, TokenExpired, TokenRevoked, WrongCredential
from access.rate_limits import RateLimits
from config import Config
from db import InterviewKey
from monitoring import request_record

log = logging.getLogger(__name__)

# Endpoints for everybody: what a platform asks of a service, and what the API is.
PUBLIC = frozenset(
    {
        "health.healthz",
        "health.readyz",
        "openapi.openapi_json",
        "openapi.docs",
        "openapi.docs_asset",
    }
)

# Endpoints that a token's holder may call as well, for the one interview.
FOR_APPLICANTS = frozenset({"api.reply", "api.get_messages", "api.interview_status"})

# Characters of a key or secret from which on it cannot be guessed, if it is random.
LONG_ENOUGH = 32


class Access:
    """Looks at every request before its endpoint does."""

    def __init__(self, config: Config, tokens: ApplicantTokens, limits: RateLimits) -> None:
        self._key_hashes = config.api_keys
        self._tokens = tokens
        self._limits = limits

    def check(self) -> None:
        """Let the request pass, or raise.

        Raises:
            WrongCredential: It has no credential that opens anything.
            NotAllowed: Its token does not open this endpoint.
            RateLimited: There were too many wrong credentials from its address.

        """
        g.token_digest = None
        # Browsers ask with OPTIONS, and without credentials, whether they may send any.
        is_open = not self._key_hashes or request.endpoint in PUBLIC
        if is_open or request.endpoint is None or request.method == "OPTIONS":
            return
        credentials = _credentials()
        if not credentials:
            raise WrongCredential
        for key_hash in map(hash_of, credentials):
            if is_one_of(key_hash, self._key_hashes):
                # Enough to tell from the log which of several keys it was.
                request_record.current().caller = f"key {key_hash.hex()[:8]}"
                return
        g.token_digest = self._digest_of(credentials[0])
        request_record.current().caller = "token"
        if request.endpoint not in FOR_APPLICANTS:
            raise NotAllowed

    def _digest_of(self, token: str) -> str:
        try:
            return self._tokens.digest_of(token)
        except (TokenExpired, TokenRevoked):
            raise  # it was right once, so that nobody is guessing
        except WrongCredential:
            # Only wrong ones are counted, and a right one passes whatever was counted: many callers
            # may share an address, and none of them shall lock out the others.
            self._limits.count_wrong_key()
            raise


def register_access(app: Flask, access: Access) -> None:
    """Let `access` look at every request."""
    app.before_request(access.check)


def allow(interview: InterviewKey) -> None:
    """Let the caller's request for the interview pass.

    Raises:
        NotAllowed: The caller has a token, and for another interview.

    """
    if g.token_digest is not None and g.token_digest != interview.digest():
        raise NotAllowed


def is_applicant() -> bool:
    """Tell whether the caller has come by an applicant's token."""
    return g.token_digest is not None


def warn_of_weakness(config: Config) -> None:
    """Say in the log, at the start, what stands open."""
    if not config.api_keys:
        log.warning(
            "THE API IS OPEN: whoever reaches it can read and write every interview. "
            "Set API_KEYS (`make key` makes one), or let only your own systems reach it."
        )
        if config.secret_key:
            log.warning("SECRET_KEY has no effect: applicants' tokens need API_KEYS as well.")
    if any(len(key) < LONG_ENOUGH for key in config.secret_key):
        log.warning("SECRET_KEY is shorter than %d characters: it may be guessed.", LONG_ENOUGH)


def _credentials() -> list[str]:
    """Return the keys or tokens that the request brings: of two, one that is right is enough."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    given = [bearer.strip() if scheme.lower() == "bearer" else "", request.headers.get("X-API-Key")]
    return [credential for credential in given if credential]
