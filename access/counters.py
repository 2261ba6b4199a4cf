"""Counters of the rate limits: in Redis for all processes, or in the memory of one.

While Redis cannot be reached, memory takes its place.
"""

import logging
import time
from math import ceil
from threading import Lock

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

log = logging.getLogger(__name__)

# Seconds that a request may lose to a Redis that does not answer.
REDIS_TIMEOUT = 0.5

# Seconds from one attempt to reach a lost Redis to the next. Each attempt costs one request of each
# process the timeout at most.
REDIS_RETRY_AFTER = 1.0

# Windows that are kept before those that have ended are looked for.
MANY_WINDOWS = 1024


class Counters:
    """Counts of requests in fixed windows of time, each of which begins with its first request."""

    def __init__(self, redis_url: str | None) -> None:
        self._memory = FixedWindowRateLimiter(MemoryStorage())
        self._redis = _redis_limiter(redis_url) if redis_url else None
        self._redis_is_lost = False
        self._next_attempt = 0.0
        self._lock = Lock()

    def refusal(self, limit: RateLimitItem, *subject: str, counting: bool = True) -> int | None:
        """Return the seconds until the limit allows a further request; None if it allows one now.

        Args:
            limit: A number of requests in a time.
            subject: The names of what is limited.
            counting: Whether the request is counted.

        """
        if self._redis is not None and self._may_ask_redis():
            try:
                seconds = _refusal(self._redis, limit, subject, counting)
            except StorageError as error:
                self._lose_redis(error)
            else:
                self._recover_redis()
                return seconds
        return _refusal(self._memory, limit, subject, counting)

    def _may_ask_redis(self) -> bool:
        if not self._redis_is_lost:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._next_attempt:
                return False
            # One request tries; those that come meanwhile do not wait for it.
            self._next_attempt = now + REDIS_RETRY_AFTER
            return True

    def _lose_redis(self, error: StorageError) -> None:
        with self._lock:
            self._next_attempt = time.monotonic() + REDIS_RETRY_AFTER
            was_lost, self._redis_is_lost = self._redis_is_lost, True
        if not was_lost:
            # Its kind alone: the sentence may hold the URL.
            kind = type(error.storage_error).__name__
            log.warning("Redis cannot be reached (%s): rate limits are counted in memory", kind)

    def _recover_redis(self) -> None:
        if not self._redis_is_lost:
            return
        with self._lock:
            was_lost, self._redis_is_lost = self._redis_is_lost, False
        if was_lost:
            log.warning("Redis is back: rate limits are counted there again")


class MemoryStorage(Storage):
    """The counts of one process.

    `limits` has such a storage. But it removes ended windows without a lock, so that requests that
    arrive together at a window's beginning may not be counted, and it starts a thread up to 100
    times a second to do so.
    """

    STORAGE_SCHEME = None  # never opened by a URL

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._windows: dict[str, tuple[int, float]] = {}  # a count, and the time of the end
        self._full_at = MANY_WINDOWS

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of the storage: there are none."""
        return ()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return the window's count."""
        now = time.time()
        with self._lock:
            count, end = self._windows.get(key, (0, 0.0))
            if end <= now:
                count, end = 0, now + expiry
                self._make_room(now)
            self._windows[key] = (count + amount, end)
            return count + amount

    def get(self, key: str) -> int:
        """Return the window's count."""
        count, end = self._windows.get(key, (0, 0.0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """Return the time at which the window ends."""
        return self._windows.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        """Return whether the storage can be used: always."""
        return True

    def reset(self) -> int:
        """Forget all windows, and return how many there were."""
        with self._lock:
            windows, self._windows = self._windows, {}
        return len(windows)

    def clear(self, key: str) -> None:
        """Forget a window."""
        with self._lock:
            self._windows.pop(key, None)

    def _make_room(self, now: float) -> None:
        """Forget the windows that have ended, each time that their number may have doubled."""
        if len(self._windows) >= self._full_at:
            self._windows = {key: of for key, of in self._windows.items() if of[1] > now}
            self._full_at = max(MANY_WINDOWS, 2 * len(self._windows))


def _redis_limiter(url: str) -> FixedWindowRateLimiter:
    # Only here: it takes 6 MB.
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options = {
        "socket_timeout": REDIS_TIMEOUT,
        "socket_connect_timeout": REDIS_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),  # memory is there at once
    }
    return FixedWindowRateLimiter(
        storage_from_string(url, wrap_exceptions=True, **options)  # type: ignore[arg-type]
    )


def _refusal(
    limiter: FixedWindowRateLimiter, limit: RateLimitItem, subject: tuple[str, ...], counting: bool
) -> int | None:
    is_allowed = limiter.hit if counting else limiter.test
    if is_allowed(limit, *subject):
        return None
    reset_time = limiter.get_window_stats(limit, *subject).reset_time
    return max(1, ceil(reset_time - time.time()))
