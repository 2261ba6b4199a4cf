"""The environment, read once: every setting with its default, its unit and its check."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import load_dotenv
from limits import parse_many

APP_FOLDER = Path(__file__).resolve().parent


class StartError(Exception):
    """Why the service cannot start: one sentence for whoever starts it."""


@dataclass(frozen=True)
class Config:
    """The settings, named as in the environment (`openai_model` is `OPENAI_MODEL`)."""

    openai_api_key: str = field(repr=False)
    """The key that OpenAI bills. No default: without it the service does not start."""

    openai_base_url: str | None = None
    """Where the chat completions API is, up to and with `/v1`; unset: OpenAI's own."""

    openai_model: tuple[str, ...] = ("gpt-4o-mini",)
    """`OPENAI_MODEL`, comma-separated: the next is tried when one does not exist any more."""

    reply_deadline: float = 90.0
    """Seconds that one call may take until the model's answer is there, retries included."""

    closing_phrase: str = "Thank you for your time and insights"
    """What the interviewer says, in any case, to end an interview."""

    database_url: str = field(default="sqlite:///messages.db", repr=False)
    """`sqlite:///` and a path, where a relative one starts at the app's folder; or
    `postgresql://user:password@host/database`."""

    database_lock_timeout: float = 5.0
    """Seconds to wait for what others keep locked, and for a connection to PostgreSQL."""

    database_statement_timeout: float = 10.0
    """Seconds that PostgreSQL may take for one statement."""

    database_pool_size: int = 4
    """Connections to PostgreSQL that one process has at most. Two processes on each of two
    instances come to 16; small plans allow 20."""

    max_prompt_chars: int = 100_000
    """Characters of a prompt."""

    max_message_chars: int = 10_000
    """Characters of one message of an applicant."""

    max_key_chars: int = 320
    """Characters of each of `accessKey`, `name` and `email`; 320 is the longest e-mail address."""

    max_transcript_chars: int = 400_000
    """Characters of an interview, prompt included, past which no reply is taken."""

    max_body_bytes: int = 1_048_576
    """Bytes of a request's body."""

    client_timeout: float = 10.0
    """Seconds without a byte after which a client that sends, or reads, is given up."""

    max_model_calls: int = 224
    """Replies and starts that one process has under way; more are refused, to be tried again."""

    worker_threads: int = 256
    """Requests that one process serves at once; above `max_model_calls`, so that reads go on."""

    web_concurrency: int = 2
    """Processes of gunicorn, whatever the processors: in a container their number is the host's."""

    api_keys: tuple[bytes, ...] = ()
    """SHA-256 of each key that opens the API; `API_KEYS` has, by commas, keys or their hashes as
    `sha256:` and hex. Unset: the API is open to whoever reaches it."""

    secret_key: tuple[str, ...] = field(default=(), repr=False)
    """What signs applicants' tokens; of several by commas the first signs and all are accepted.
    Unset, or without `API_KEYS`: there are no tokens."""

    rate_limits: bool = True
    """`off`: none of the limits that follow, each a number of requests and a time."""

    limit_replies: str = "20/minute"
    """Replies to one interview."""

    limit_starts: str = "120/minute"
    """Starts under one access key."""

    limit_tokens: str = "120/minute"
    """Tokens issued under one access key."""

    limit_wrong_keys: str = "10/minute"
    """Wrong keys and tokens from one address, before the answer is 429."""

    redis_url: str | None = field(default=None, repr=False)
    """Where the limits are counted for all processes; unset: in memory, each process by itself."""

    trusted_proxies: int = 0
    """Proxies in front of the service, each of which adds to `X-Forwarded-For` and `-Proto`."""

    cors_origins: tuple[str, ...] = ()
    """`CORS_ORIGINS`, comma-separated: whose pages may call the API from a browser."""

    metrics: bool = False
    """`on`: answer `GET /metrics`."""

    port: int = 5000
    """Port of `python app.py`, on 127.0.0.1; gunicorn reads `PORT` by itself."""

    @property
    def is_postgresql(self) -> bool:
        """Whether `database_url` names a PostgreSQL database."""
        return self.database_url.startswith(("postgresql://", "postgres://"))


def has_api_key() -> bool:
    """Tell whether the environment or `.env` holds a key."""
    load_dotenv(APP_FOLDER / ".env")
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def load(environment: Mapping[str, str] | None = None, *, asks_model: bool = True) -> Config:
    """Read the settings from the environment and, for what it leaves unset, from `.env`.

    A setting that is blank counts as unset.

    Args:
        environment: Read instead of the process's own.
        asks_model: Whether the key for the model is needed.

    Raises:
        StartError: A setting is missing or makes no sense.

    """
    if environment is None:
        load_dotenv(APP_FOLDER / ".env")
        environment = os.environ
    settings = {name: value.strip() for name, value in environment.items() if value.strip()}

    return Config(
        openai_api_key=_api_key(settings) if asks_model else "",
        openai_base_url=_url(settings),
        openai_model=_models(settings),
        reply_deadline=_number(settings, "REPLY_DEADLINE", Config.reply_deadline),
        closing_phrase=settings.get("CLOSING_PHRASE", Config.closing_phrase),
        database_url=settings.get("DATABASE_URL", Config.database_url),
        database_lock_timeout=_number(
            settings, "DATABASE_LOCK_TIMEOUT", Config.database_lock_timeout
        ),
        database_statement_timeout=_number(
            settings, "DATABASE_STATEMENT_TIMEOUT", Config.database_statement_timeout
        ),
        database_pool_size=_whole(settings, "DATABASE_POOL_SIZE", Config.database_pool_size),
        max_prompt_chars=_whole(settings, "MAX_PROMPT_CHARS", Config.max_prompt_chars),
        max_message_chars=_whole(settings, "MAX_MESSAGE_CHARS", Config.max_message_chars),
        max_key_chars=_whole(settings, "MAX_KEY_CHARS", Config.max_key_chars),
        max_transcript_chars=_whole(settings, "MAX_TRANSCRIPT_CHARS", Config.max_transcript_chars),
        max_body_bytes=_whole(settings, "MAX_BODY_BYTES", Config.max_body_bytes),
        client_timeout=_number(settings, "CLIENT_TIMEOUT", Config.client_timeout),
        max_model_calls=_whole(settings, "MAX_MODEL_CALLS", Config.max_model_calls),
        worker_threads=_whole(settings, "WORKER_THREADS", Config.worker_threads),
        web_concurrency=_whole(settings, "WEB_CONCURRENCY", Config.web_concurrency),
        api_keys=_key_hashes(settings),
        secret_key=_list(settings, "SECRET_KEY"),
        rate_limits=_switch(settings, "RATE_LIMITS", default=Config.rate_limits),
        limit_replies=_limit(settings, "LIMIT_REPLIES", Config.limit_replies),
        limit_starts=_limit(settings, "LIMIT_STARTS", Config.limit_starts),
        limit_tokens=_limit(settings, "LIMIT_TOKENS", Config.limit_tokens),
        limit_wrong_keys=_limit(settings, "LIMIT_WRONG_KEYS", Config.limit_wrong_keys),
        redis_url=_redis_url(settings),
        trusted_proxies=_whole(settings, "TRUSTED_PROXIES", Config.trusted_proxies, at_least=0),
        cors_origins=_origins(settings),
        metrics=_switch(settings, "METRICS", default=Config.metrics),
        port=_whole(settings, "PORT", Config.port),
    )


def _api_key(settings: Mapping[str, str]) -> str:
    key = settings.get("OPENAI_API_KEY")
    if key is None:
        raise StartError(
            "OPENAI_API_KEY is not set: put your key into .env or the environment, "
            "or try the service without one by `make run`."
        )
    # The key travels in an HTTP header, which holds nothing else; the sentence must not show it.
    if not (key.isascii() and key.isprintable()):
        raise StartError("OPENAI_API_KEY holds characters that no key has; copy it again.")
    return key


def _url(settings: Mapping[str, str]) -> str | None:
    url = settings.get("OPENAI_BASE_URL")
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StartError("OPENAI_BASE_URL must be an http:// or https:// URL.")
    return url


def _models(settings: Mapping[str, str]) -> tuple[str, ...]:
    return _list(settings, "OPENAI_MODEL") or Config.openai_model


def _list(settings: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return what stands between the commas; a list of nothing is more likely a slip than meant."""
    value = settings.get(name)
    if value is None:
        return ()
    items = tuple(item.strip() for item in value.split(",") if item.strip())
    if not items:
        raise StartError(f"{name} holds nothing but commas.")
    return items


def _key_hashes(settings: Mapping[str, str]) -> tuple[bytes, ...]:
    hashes = []
    for item in _list(settings, "API_KEYS"):
        if item.startswith("sha256:"):
            digits = item.removeprefix("sha256:")
            if not re.fullmatch("[0-9a-fA-F]{64}", digits):
                raise StartError("API_KEYS has a sha256: that 64 hexadecimal digits do not follow.")
            hashes.append(bytes.fromhex(digits))
        elif item.isascii() and item.isprintable():
            hashes.append(sha256(item.encode()).digest())
        else:
            raise StartError("API_KEYS has a key with characters that no header can carry.")
    return tuple(hashes)


def _limit(settings: Mapping[str, str], name: str, default: str) -> str:
    value = settings.get(name, default)
    try:
        limits = parse_many(value)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 for limit in limits):
        raise StartError(f"{name} must be a number and a time, such as {default}, not {value!r}.")
    return value


def _redis_url(settings: Mapping[str, str]) -> str | None:
    url = settings.get("REDIS_URL")
    # The URL itself is not shown, as it may hold a password.
    if url is not None and not url.startswith(("redis://", "rediss://")):
        raise StartError("REDIS_URL must be a redis:// or rediss:// URL.")
    return url


def _origins(settings: Mapping[str, str]) -> tuple[str, ...]:
    origins = _list(settings, "CORS_ORIGINS")
    for origin in origins:
        # No star, which would let any page in, and no path: browsers send none.
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise StartError(
                "CORS_ORIGINS must be origins as browsers send them, such as "
                f"https://app.example.com, not {origin!r}."
            )
    return origins


def _number(settings: Mapping[str, str], name: str, default: float) -> float:
    value = settings.get(name)
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86_400:
        raise StartError(f"{name} must be a number of seconds, above 0, not {value!r}.")
    return number


def _whole(settings: Mapping[str, str], name: str, default: int, *, at_least: int = 1) -> int:
    value = settings.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and int(value) >= at_least):
        raise StartError(f"{name} must be a whole number of {at_least} or more, not {value!r}.")
    return int(value)


def _switch(settings: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = settings.get(name)
    if value is None:
        return default
    if value.lower() not in ("on", "off"):
        raise StartError(f"{name} must be on or off, not {value!r}.")
    return value.lower() == "on"
