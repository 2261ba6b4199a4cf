"""Headers for browsers: those that keep their users safe, and CORS."""

from flask import Flask, Response, request
from flask_cors import CORS

from config import Config

# Headers that pages may send, and read, beside the few that they always may.
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID")
RESPONSE_HEADERS = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)

# Seconds for which a browser remembers what it may send.
PREFLIGHT_MAX_AGE = 600

# Seconds for which a browser that has come by TLS will come by nothing else: a year.
HSTS_MAX_AGE = 31_536_000


def register_browsers(app: Flask, config: Config) -> None:
    """Add the headers to every response, errors included."""
    app.after_request(_add_headers)
    if config.cors_origins:
        # It does not allow what browsers call credentials, which are cookies: there are none.
        CORS(
            app,
            origins=list(config.cors_origins),
            methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=list(REQUEST_HEADERS),
            expose_headers=list(RESPONSE_HEADERS),
            max_age=PREFLIGHT_MAX_AGE,
        )


def _add_headers(response: Response) -> Response:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    # The page that describes the API has its own of these two.
    headers.setdefault("Content-Security-Policy", "default-src 'none'")
    headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={HSTS_MAX_AGE}"
    return response
