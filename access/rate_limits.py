"""How much of something there may be: named policies, counted by Flask-Limiter.

Counted in memory, each process by itself, or in Redis for all of them. While Redis cannot be
reached, memory takes its place.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_network
from math import ceil
from typing import Any

from flask import Flask, g, request
from flask_limiter import Limiter, RateLimitExceeded
from limits.errors import StorageError

from access.errors import RateLimited
from config import Config
from db import InterviewKey

# Seconds that a request may lose to a Redis that does not answer.
REDIS_TIMEOUT = 0.5


class RateLimits:
    """The policies. Each raises `RateLimited` once its limit is reached.

    Replies are not counted by address: a frontend's server calls for hundreds of applicants from
    one.
    """

    def __init__(self, app: Flask, config: Config) -> None:
        options: dict[str, Any] = {}
        if config.redis_url:
            # Only here: it takes 6 MB.
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            options = {
                "socket_timeout": REDIS_TIMEOUT,
                "socket_connect_timeout": REDIS_TIMEOUT,
                "retry": Retry(NoBackoff(), 0),  # memory is there at once
                "wrap_exceptions": True,
            }
        self._limiter = Limiter(
            _subject,
            app=app,
            enabled=config.rate_limits,
            strategy="fixed-window",
            storage_uri=config.redis_url or "memory://",
            storage_options=options,
            in_memory_fallback_enabled=True,
            key_prefix="tukma",
        )
        # Each reply costs a call to the model, which grows with the interview. Nobody types a
        # thoughtful answer every three seconds for a minute; a script, or a stuck key, does.
        self._replies = self._policy("replies", config.limit_replies)
        # Each start costs a call to the model as well, and anyone who knows an access key can make
        # up applicants. Two a second are far more than a recruiter's busiest hour.
        self._starts = self._policy("starts", config.limit_starts)
        # One for each applicant and page load: as many as starts.
        self._tokens = self._policy("tokens", config.limit_tokens)
        # A key cannot be guessed, at whatever rate. But who tries must not fill the log, nor take
        # the time of others; and a system with an old key in it shall be noticed.
        self._wrong_keys = self._policy("wrong keys", config.limit_wrong_keys)

    def count_reply(self, interview: InterviewKey) -> None:
        """Count a reply to the interview."""
        self._count(self._replies, interview.digest(), "Too many replies in this interview.")

    def count_start(self, access_key: str) -> None:
        """Count a start under the access key."""
        self._count(self._starts, _hidden(access_key), "Too many starts under this access key.")

    def count_token(self, access_key: str) -> None:
        """Count a token issued under the access key."""
        self._count(self._tokens, _hidden(access_key), "Too many tokens under this access key.")

    def count_wrong_key(self) -> None:
        """Count a wrong key or token from the client's address."""
        network = _network(request.remote_addr or "")
        self._count(self._wrong_keys, network, "Too many wrong keys from this address.")

    def _policy(self, name: str, limit: str) -> Callable[[], None]:
        """Return what counts one request, of whatever `g.rate_limited` names."""

        def count() -> None:
            """Do nothing itself."""

        count.__qualname__ = name  # by which Flask-Limiter tells functions apart
        return self._limiter.shared_limit(limit, name)(count)

    def _count(self, policy: Callable[[], None], subject: str, sentence: str) -> None:
        g.rate_limited = subject
        try:
            try:
                policy()
            except StorageError:
                # Flask-Limiter goes over to memory for the request that finds Redis gone first, and
                # raises for those that find out at the same moment. By now memory counts.
                with suppress(StorageError):
                    policy()
        except RateLimitExceeded as error:
            limit = error.limit.limit
            raise RateLimited(sentence, limit.amount, self._reset(limit.get_expiry())) from None

    def _reset(self, longest: int) -> int:
        """Return the seconds until the limit that was reached is reset."""
        reached = self._limiter.current_limit
        try:
            return max(1, ceil(reached.window.reset_time - time.time())) if reached else longest
        except StorageError:
            return longest


def _subject() -> str:
    """Return who or what is limited."""
    subject: str = g.rate_limited
    return subject


def _network(address: str) -> str:
    """Return what one client has: an IPv4 address, or the 64 bits of IPv6 that it is given."""
    try:
        return str(ip_network(f"{address}/{64 if ':' in address else 32}", strict=False))
    except ValueError:  # what a proxy calls an address
        return _hidden(address)


def _hidden(name: str) -> str:
    """Return what stands for a name in Redis and in the log."""
    return sha256(name.encode()).hexdigest()
