"""The environment, read once: each setting with its default, its unit and its check."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import load_dotenv
from limits import parse_many

# What stands for the key where a rehearsal stands in for OpenAI.
REHEARSAL_KEY = "rehearsal"

APP_FOLDER = Path(__file__).resolve().parent


class StartError(Exception):
    """The service cannot start; the message says why, in one sentence."""


def _setting(
    read: Callable[[str, str], object],
    *,
    default: object = MISSING,
    secret: bool = False,
) -> Any:  # noqa: ANN401  # as `dataclasses.field` does
    """Return the field of a setting.

    Args:
        read: Turns the variable's name and value into the setting, or raises `StartError`.
        default: The setting if the variable is unset; without one, the variable is required.
        secret: Keep the value out of the settings' `repr`, which may be logged.

    """
    return field(default=default, repr=not secret, metadata={"read": read})


def _text(_name: str, value: str) -> str:
    return value


def _api_key(name: str, value: str) -> str:
    # The key travels in an HTTP header, which holds nothing else; the sentence must not show it.
    if not (value.isascii() and value.isprintable()):
        raise StartError(f"{name} holds characters that no key has; copy it again.")
    return value


def _http_url(name: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StartError(f"{name} must be an http:// or https:// URL.")
    return value


def _base_url(name: str, value: str) -> str:
    url = _http_url(name, value)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise StartError(f"{name} must be a URL without a query and a fragment.")
    return url.rstrip("/")


def _redis_url(name: str, value: str) -> str:
    # The URL itself is not shown, as it may hold a password.
    if not value.startswith(("redis://", "rediss://")):
        raise StartError(f"{name} must be a redis:// or rediss:// URL.")
    return value


def _list(name: str, value: str) -> tuple[str, ...]:
    """Split a value at its commas. Nothing between them is a slip, and refused as one."""
    items = tuple(item.strip() for item in value.split(",") if item.strip())
    if not items:
        raise StartError(f"{name} holds nothing but commas.")
    return items


def _one_of(*words: str) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value not in words:
            raise StartError(f"{name} must be one of {', '.join(words)}, not {value!r}.")
        return value

    return read


def _number(least: float, most: float) -> Callable[[str, str], float]:
    def read(name: str, value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise StartError(f"{name} must be a number from {least} to {most}, not {value!r}.")
        return number

    return read


@dataclass(frozen=True)
class Model:
    """A model, and the parameters that requests carry if they go to it."""

    name: str
    parameters: Mapping[str, str | float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as an entry of `OPENAI_MODEL`."""
        parameters = "&".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}?{parameters}" if parameters else self.name


def models(name: str, value: str) -> tuple[Model, ...]:
    """Return the models of a list as `OPENAI_MODEL` has it.

    Args:
        name: What the list belongs to, for an error.
        value: The list.

    Raises:
        StartError: It is not valid.

    """
    return tuple(_model(name, entry) for entry in _list(name, value))


def _model(name: str, entry: str) -> Model:
    """Return a model from a name and, after a question mark, its parameters: `a=1&b=2`."""
    model, has_parameters, written = (part.strip() for part in entry.partition("?"))
    if not model:
        raise StartError(f"{name} has parameters that no model precedes: {entry!r}.")
    parameters: dict[str, str | float] = {}
    for assignment in written.split("&") if has_parameters else ():
        parameter, _, text = (part.strip() for part in assignment.partition("="))
        if parameter not in MODEL_PARAMETERS:
            known = ", ".join(MODEL_PARAMETERS)
            raise StartError(f"{name} has a parameter {parameter!r}, which is none of {known}.")
        if parameter in parameters:
            raise StartError(f"{name} has the parameter {parameter} twice for {model}.")
        parameters[parameter] = MODEL_PARAMETERS[parameter](f"{parameter} in {name}", text)
    return Model(model, parameters)


def _key_hashes(name: str, value: str) -> tuple[bytes, ...]:
    hashes = []
    for item in _list(name, value):
        if item.startswith("sha256:"):
            digits = item.removeprefix("sha256:")
            if not re.fullmatch("[0-9a-fA-F]{64}", digits):
                raise StartError(f"{name} has a sha256: that 64 hexadecimal digits do not follow.")
            hashes.append(bytes.fromhex(digits))
        elif item.isascii() and item.isprintable():
            hashes.append(sha256(item.encode()).digest())
        else:
            raise StartError(f"{name} has a key with characters that no header can carry.")
    return tuple(hashes)


def _origins(name: str, value: str) -> tuple[str, ...]:
    origins = _list(name, value)
    for origin in origins:
        # No star, which would let any page in, and no path: browsers send none.
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise StartError(
                f"{name} must be origins as browsers send them, such as "
                f"https://app.example.com, not {origin!r}."
            )
    return origins


def _limit(name: str, value: str) -> str:
    try:
        limits = parse_many(value)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 for limit in limits):
        example = getattr(Config, name.lower())
        raise StartError(f"{name} must be a number and a time, such as {example}, not {value!r}.")
    return value


def _seconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86_400:
        raise StartError(f"{name} must be a number of seconds, above 0, not {value!r}.")
    return number


def _whole_number(name: str, value: str, *, at_least: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and int(value) >= at_least):
        raise StartError(f"{name} must be a whole number of {at_least} or more, not {value!r}.")
    return int(value)


def _count(name: str, value: str) -> int:
    return _whole_number(name, value, at_least=1)


def _odd_number(name: str, value: str) -> int:
    number = _whole_number(name, value, at_least=1)
    if number % 2 == 0:
        raise StartError(f"{name} must be an odd number, not {value!r}.")
    return number


def _count_or_none(name: str, value: str) -> int:
    return _whole_number(name, value, at_least=0)


# Parameters of a request that change how a model answers, but not what the service must read. None
# is sent unless it is set, as each is refused by some models.
MODEL_PARAMETERS: Mapping[str, Callable[[str, str], str | float]] = {
    "reasoning_effort": _one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "verbosity": _one_of("low", "medium", "high"),
    "service_tier": _one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "max_completion_tokens": _count,
    "seed": _count_or_none,
}


def _switch(name: str, value: str) -> bool:
    if value.lower() not in ("on", "off"):
        raise StartError(f"{name} must be on or off, not {value!r}.")
    return value.lower() == "on"


@dataclass(frozen=True)
class Config:
    """The settings, each named as in the environment (`openai_model` is `OPENAI_MODEL`).

    A field's first argument reads and checks the variable; its docstring is the setting's line in
    `docs/settings.md`.
    """

    openai_api_key: str = _setting(_api_key, secret=True)
    """The OpenAI API key, to which calls are billed. The service does not start without one."""

    openai_base_url: str | None = _setting(_http_url, default=None)
    """The base URL of the chat completions API, including `/v1`. If unset, OpenAI's own."""

    # gpt-4o-mini ends on 2027-01-14; its successor answers from then on, and, told not to reason,
    # as quickly.
    openai_model: tuple[Model, ...] = _setting(
        models, default=(Model("gpt-4o-mini"), Model("gpt-6-luna", {"reasoning_effort": "none"}))
    )
    """The models to ask, separated by commas: when one no longer exists, the next is asked. A model
    may have parameters for its requests, as in `gpt-6-luna?reasoning_effort=none&verbosity=low`."""

    reply_deadline: float = _setting(_seconds, default=90.0)
    """Seconds within which the model must have answered, retries included."""

    closing_phrase: str = _setting(_text, default="Thank you for your time and insights")
    """The phrase with which the interviewer ends an interview, in upper or lower case."""

    scoring_model: tuple[Model, ...] = _setting(models, default=())
    """The models that rate interviews, in the notation of `OPENAI_MODEL`. If unset, the same."""

    scoring_runs: int = _setting(_odd_number, default=3)
    """The runs in which a model rates each criterion, an odd number; their median counts."""

    scoring_deadline: float = _setting(_seconds, default=300.0)
    """Seconds within which one attempt at a scorecard must be complete."""

    scoring_calls: int = _setting(_count, default=4)
    """The most ratings that one process asks models for at once."""

    worker: bool = _setting(_switch, default=True)
    """`off` keeps this process from background work, such as scorecards; `python -m commands
    worker` does it alone."""

    pages: bool = _setting(_switch, default=True)
    """`off` serves the API alone, without the applicant's room and the recruiter's board."""

    public_url: str | None = _setting(_base_url, default=None)
    """The URL at which applicants reach the service, for their links. If unset, that of the request
    that makes a link."""

    contact: str | None = _setting(_text, default=None)
    """Whom applicants may ask, such as an e-mail address, shown to them in the room. If unset, the
    people who have invited them."""

    database_url: str = _setting(_text, default="sqlite:///messages.db", secret=True)
    """`sqlite:///` and a path, where a relative path starts at the folder of `app.py`; or
    `postgresql://user:password@host/database`."""

    database_lock_timeout: float = _setting(_seconds, default=5.0)
    """Seconds to wait for a lock that others hold, or for a connection to PostgreSQL."""

    database_statement_timeout: float = _setting(_seconds, default=10.0)
    """Seconds that one PostgreSQL statement may take."""

    database_pool_size: int = _setting(_count, default=4)
    """The most connections to PostgreSQL that one process opens. Two processes on each of two
    instances come to 16; small plans allow 20."""

    max_prompt_chars: int = _setting(_count, default=100_000)
    """The most characters in a prompt."""

    max_message_chars: int = _setting(_count, default=10_000)
    """The most characters in one message of an applicant."""

    max_key_chars: int = _setting(_count, default=320)
    """The most characters in each of `accessKey`, `name` and `email`; an e-mail address may
    have 320."""

    max_transcript_chars: int = _setting(_count, default=400_000)
    """The most characters in an interview, prompt included; a reply that would exceed it is
    refused."""

    max_body_bytes: int = _setting(_count, default=1_048_576)
    """The most bytes in a request's body. An endpoint accepts fewer if its fields cannot need as
    many."""

    client_timeout: float = _setting(_seconds, default=10.0)
    """Seconds without a byte sent or received after which a client's connection is closed."""

    max_model_calls: int = _setting(_count, default=224)
    """The most starts and replies in progress in one process; further ones are refused with 503, to
    be retried."""

    worker_threads: int = _setting(_count, default=256)
    """Requests that one process serves at once. More than `MAX_MODEL_CALLS`, so that reads are
    answered while that many replies are in progress."""

    web_concurrency: int = _setting(_count, default=2)
    """The number of gunicorn's processes. It does not follow the number of processors, which in a
    container is often the host's."""

    api_keys: tuple[bytes, ...] = _setting(_key_hashes, default=())
    """The keys that open the API, or their hashes as `sha256:` and 64 hexadecimal digits, separated
    by commas. Only the hashes are kept. If unset, the API is open to everyone who can reach it."""

    secret_key: tuple[str, ...] = _setting(_list, default=(), secret=True)
    """The secret that signs applicants' tokens. Of several separated by commas, the first signs and
    all are accepted. Without it, or without `API_KEYS`, there are no tokens."""

    rate_limits: bool = _setting(_switch, default=True)
    """`off` disables the limits below, each of which is a number of requests and a period."""

    limit_replies: str = _setting(_limit, default="20/minute")
    """Replies to one interview."""

    limit_starts: str = _setting(_limit, default="120/minute")
    """Interviews started under one access key."""

    limit_tokens: str = _setting(_limit, default="120/minute")
    """Tokens issued under one access key."""

    limit_scores: str = _setting(_limit, default="120/minute")
    """Scorecards asked for, and drafts of rubrics, under one access key."""

    limit_records: str = _setting(_limit, default="30/minute")
    """Consents, requests for another way and notes to messages of one interview."""

    limit_wrong_keys: str = _setting(_limit, default="10/minute")
    """Wrong keys and tokens from one address."""

    limit_wrong_invitations: str = _setting(_limit, default="20/minute")
    """Links that no invitation has, opened from one address."""

    limit_bad_requests: str = _setting(_limit, default="60/minute")
    """Bad requests (400) from one address, or with one token."""

    redis_url: str | None = _setting(_redis_url, default=None, secret=True)
    """The Redis server, `redis://` or `rediss://`, in which all processes count the limits
    together. If unset, each process counts by itself, in memory."""

    trusted_proxies: int = _setting(_count_or_none, default=0)
    """The exact number of proxies in front of the service that add to `X-Forwarded-For` and
    `X-Forwarded-Proto`."""

    cors_origins: tuple[str, ...] = _setting(_origins, default=())
    """The origins whose pages may call the API from a browser, separated by commas, such as
    `https://app.example.com`."""

    metrics: bool = _setting(_switch, default=False)
    """`on` serves `GET /metrics`, to callers with a key if there are keys."""

    port: int = _setting(_count, default=5000)
    """The port of `python app.py`, on 127.0.0.1. gunicorn reads `PORT` too, and then listens on all
    interfaces."""

    @property
    def is_rehearsal(self) -> bool:
        """True if a rehearsal stands in for OpenAI, as there was no key at the start."""
        return self.openai_api_key == REHEARSAL_KEY

    @property
    def is_postgresql(self) -> bool:
        """True if `database_url` names a PostgreSQL database, false if it names an SQLite file."""
        return self.database_url.startswith(("postgresql://", "postgres://"))


def has_api_key() -> bool:
    """Return True if the environment or `.env` has a key for OpenAI."""
    load_dotenv(APP_FOLDER / ".env")
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def load(environment: Mapping[str, str] | None = None, *, asks_model: bool = True) -> Config:
    """Read the settings from the environment and, where that does not set them, from `.env`.

    A blank variable counts as unset.

    Args:
        environment: The variables to read in place of the process's own and `.env`.
        asks_model: False for a command that never asks the model, and so needs no key for it.

    Raises:
        StartError: A setting is missing, or its value is not valid.

    """
    if environment is None:
        load_dotenv(APP_FOLDER / ".env")
        environment = os.environ
    settings: dict[str, Any] = {} if asks_model else {"openai_api_key": ""}
    for setting in fields(Config):
        name = setting.name.upper()
        value = environment.get(name, "").strip()
        if value and setting.name not in settings:
            settings[setting.name] = setting.metadata["read"](name, value)
    if "openai_api_key" not in settings:
        raise StartError(
            "OPENAI_API_KEY is not set: put your key into .env or the environment, "
            "or try the service without one by `make run`."
        )
    return Config(**settings)
