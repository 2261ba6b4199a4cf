"""The interviewer's next words, from an OpenAI model.

Knows the provider and nothing of interviews. Whatever goes wrong is an `LLMError`.
"""

import json
import logging
import os
import random
import re
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import pairwise
from threading import Lock
from typing import Any, Literal, TypedDict, cast

import httpx2
import openai
from openai import DefaultHttpxClient, OpenAI, Stream

from config import Config
from monitoring import metrics, request_record
from openai_api.completions import Answer, streamed_answer, whole_answer
from openai_api.completions import Tell as Tell
from openai_api.deadline import bound_by_deadline, network_deadline
from openai_api.errors import LLMError as LLMError
from openai_api.errors import PassingError

log = logging.getLogger(__name__)

# As many tries as the client would make by itself. It is not left to the client, because that
# sleeps as long as the server's Retry-After says, past any deadline.
TRIES = 3

# Seconds before the first retry; doubled for each further one, up to a quarter less by chance.
FIRST_BACKOFF = 0.5

# Statuses that another try may mend.
RETRIED_STATUSES = frozenset({408, 409, 429})

# Codes of a 429 that waiting does not mend.
PERMANENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


# Seconds for what follows the end of a stream; it comes with it, if it comes.
REST_TIMEOUT = 0.1


class ChatMessage(TypedDict):
    """A message as the model reads it."""

    role: Literal["system", "assistant", "user"]
    content: str


class _NoSuchModel(LLMError):
    """The model does not exist, or does not any more; `is_certain` if the provider says so."""

    def __init__(self, detail: str, *, is_certain: bool) -> None:
        super().__init__("no_such_model", detail)
        self.is_certain = is_certain


class LLM:
    """The models of `OPENAI_MODEL`, behind one client for each process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._models = config.openai_model
        self._lock = Lock()
        self._client: OpenAI | None = None
        self._pid = 0

    def answer(
        self, messages: Iterable[ChatMessage], deadline: float, tell: Tell | None = None
    ) -> str:
        """Return the model's next message.

        Args:
            messages: The conversation, oldest first.
            deadline: When to give up, in seconds of `time.monotonic()`.
            tell: What takes each piece of it as it comes, before it is known whether all will;
                without it, the provider is asked for the whole at once, which costs it and us less.

        Raises:
            LLMError: There is no whole answer, or none in time. The cause is in the log.

        """
        conversation = list(messages)
        try:
            return self._answer_of_first_model(conversation, deadline, tell and _Telling(tell))
        except LLMError as error:
            log.error("The model gave no answer: %s (%s)", error.kind, error.detail)  # noqa: TRY400
            metrics.MODEL_FAILURES.labels(error.kind).inc()
            raise

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None

    def _answer_of_first_model(
        self, messages: list[ChatMessage], deadline: float, tell: "_Telling | None"
    ) -> str:
        models = self._models
        for model, following in pairwise(models):
            try:
                return self._answer_with_retries(model, messages, deadline, tell)
            except _NoSuchModel as error:
                log.warning(
                    "Model %s does not exist (%s); going on with %s", model, error.detail, following
                )
                if error.is_certain:
                    # It will not come back: later calls of this process begin with the next one.
                    self._models = models[models.index(following) :]
        return self._answer_with_retries(models[-1], messages, deadline, tell)

    def _answer_with_retries(
        self, model: str, messages: list[ChatMessage], deadline: float, tell: "_Telling | None"
    ) -> str:
        backoff = FIRST_BACKOFF
        for _ in range(TRIES - 1):
            try:
                return self._ask(model, messages, deadline, tell)
            except PassingError as error:
                if tell is not None and tell.has_told:
                    raise  # another try would say something else
                wait = backoff * random.uniform(0.75, 1)  # noqa: S311  # no secret hangs on it
                if error.wait is not None:
                    wait = max(wait, error.wait)
                if time.monotonic() + wait >= deadline:
                    raise
                time.sleep(wait)
                backoff *= 2
        return self._ask(model, messages, deadline, tell)

    def _ask(
        self, model: str, messages: list[ChatMessage], deadline: float, tell: "_Telling | None"
    ) -> str:
        left = deadline - time.monotonic()
        if left <= 0:
            raise LLMError("timeout", "the deadline has passed")
        body: dict[str, Any] = {"model": model, "messages": messages}
        if tell is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            with network_deadline(deadline):
                # The client's door for raw requests: `chat.completions.create` walks through every
                # message in Python before it sends them, some 0.2 ms each. Nor are its models
                # built: they validate nothing, so that every part must be looked at anyhow. And
                # JSON that is ready saves it from copying a long history before it writes it.
                response = self._of_this_process().post(
                    "/chat/completions",
                    cast_to=httpx2.Response,
                    content=json.dumps(body).encode(),
                    options={
                        "timeout": left,
                        "max_retries": 0,
                        "headers": {"Content-Type": "application/json"},
                    },
                    stream=tell is not None,
                    stream_cls=Stream[Any],
                )
                with closing(cast("httpx2.Response", response)) as received:
                    answer = _read(received, tell)
        except LLMError:
            raise
        except openai.APIStatusError as error:
            raise _status_error(error) from None
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise PassingError("timeout", "the provider took too long") from None
        except openai.APIConnectionError as error:
            raise PassingError("connection", type(error.__cause__).__name__) from None
        except httpx2.TransportError as error:
            raise PassingError("connection", type(error).__name__) from None
        # Not only the client's own errors: a body that cannot be unpacked, say. Their texts may
        # quote what was sent, the key included, so that only their type is told.
        except Exception as error:
            raise LLMError("bad_answer", type(error).__name__) from None
        _note_tokens(model, answer.usage)
        return answer.text

    def _of_this_process(self) -> OpenAI:
        """Return the one client: shared by threads, but never across a fork.

        Two processes that inherit one client share its connections, and each gets answers that
        were meant for the other.
        """
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                threads = self._config.worker_threads
                http_client = DefaultHttpxClient(
                    follow_redirects=False,
                    limits=httpx2.Limits(
                        max_connections=threads, max_keepalive_connections=threads
                    ),
                )
                bound_by_deadline(http_client)
                self._client = OpenAI(
                    api_key=self._config.openai_api_key,
                    base_url=self._config.openai_base_url or "https://api.openai.com/v1",
                    http_client=http_client,
                )
                self._pid = os.getpid()
            return self._client


class _Telling:
    """Passes pieces on, and knows whether there were any."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.has_told = False

    def __call__(self, piece: str) -> None:
        self.has_told = True
        self._tell(piece)


def _read(response: httpx2.Response, tell: _Telling | None) -> Answer:
    if tell is None:
        return whole_answer(response.content)
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        # Some compatible servers do not stream, whatever they are asked.
        answer = whole_answer(response.read())
        tell(answer.text)
        return answer
    content = response.iter_bytes()
    answer = streamed_answer(content, tell)
    # Only a connection that was read to its end is used again. The client's own `Stream` leaves
    # the end of the body unread, and so every call pays for a new one.
    with suppress(httpx2.TransportError), network_deadline(time.monotonic() + REST_TIMEOUT):
        for _ in content:
            pass
    return answer


def _status_error(error: openai.APIStatusError) -> LLMError:
    """Sort an HTTP error of the provider by what helps against it."""
    # A code is a word like "insufficient_quota"; anything else stays out of the log.
    code = error.code if re.fullmatch(r"[a-z0-9_.-]{1,64}", str(error.code)) else "no code"
    detail = f"status {error.status_code}, {code}"
    is_certain = code == "model_not_found"
    # Some compatible servers send no code; a 404 that is not even JSON comes from a gateway.
    if is_certain or (error.status_code == 404 and isinstance(error.body, dict)):
        return _NoSuchModel(detail, is_certain=is_certain)
    if error.status_code in (401, 403):
        return LLMError("refused_key", detail)
    if code in PERMANENT_CODES or error.type == "insufficient_quota":
        return LLMError("no_quota", detail)
    if error.status_code in RETRIED_STATUSES or error.status_code >= 500:
        kind = "rate_limit" if error.status_code == 429 else "provider"
        return PassingError(kind, detail, _retry_after(error.response.headers.get("Retry-After")))
    return LLMError("provider", detail)


def _retry_after(value: str | None) -> float | None:
    """Return the header's seconds; its other form, a date, is left to our own backoff."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _note_tokens(model: str, usage: Any) -> None:
    """Note what the call has used, as far as the provider says it."""
    if not isinstance(usage, dict):
        usage = {}
    record = request_record.current()
    record.model = model
    for direction, name in (("in", "prompt_tokens"), ("out", "completion_tokens")):
        tokens = usage.get(name)
        if isinstance(tokens, int) and tokens > 0:
            metrics.TOKENS.labels(model, direction).inc(tokens)
            if direction == "in":
                record.tokens_in += tokens
            else:
                record.tokens_out += tokens
