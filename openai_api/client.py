"""Requests to an OpenAI model: one client for each process, and the errors sorted.

One call here is one request. Whatever goes wrong with it is an `LLMError`; trying again, and asking
another model, is up to the caller.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Lock
from typing import Any, Literal, TypedDict, cast

import httpx2
import openai
from openai import DefaultHttpxClient, OpenAI, Stream

from config import Config, Model
from openai_api.completions import (
    Answer,
    Emit,
    FullAnswer,
    full_answer,
    streamed_answer,
    whole_answer,
)
from openai_api.deadline import ResponseTooLong, bound_by_deadline, network_deadline
from openai_api.errors import LLMError, NoSuchModel, PassingError

OPENAI_URL = "https://api.openai.com/v1"

# Statuses that another try may mend.
RETRIED_STATUSES = frozenset({408, 409, 429})

# Codes of a 429 that waiting does not mend.
PERMANENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})

# Seconds for what follows the last event of a stream: it comes at once, or is not waited for.
REST_TIMEOUT = 0.1


class ChatMessage(TypedDict):
    """A message as the model reads it."""

    role: Literal["system", "assistant", "user"]
    content: str


class Client:
    """The provider at `OPENAI_BASE_URL`; may be shared by threads and inherited across a fork."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = Lock()
        self._client: OpenAI | None = None
        self._pid = 0

    def complete(
        self,
        model: Model,
        messages: Sequence[ChatMessage],
        deadline: float,
        emit: Emit | None = None,
    ) -> Answer:
        """Return the model's next message.

        Args:
            model: The model, with the parameters that its requests carry.
            messages: The conversation, oldest first.
            deadline: When to give up, in seconds of `time.monotonic()`.
            emit: Takes each piece as it comes, before it is known whether the answer will be whole;
                without it, the provider is asked for the whole at once, which costs less.

        Raises:
            NoSuchModel: The model does not exist, or no longer.
            PassingError: Another try may succeed.
            LLMError: There is no whole answer for another reason.

        """
        body: dict[str, Any] = {"model": model.name, **model.parameters, "messages": messages}
        if emit is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        with self._response(body, deadline) as response:
            return _read(response, emit)

    def complete_json(
        self,
        model: Model,
        messages: Sequence[ChatMessage],
        response_format: Mapping[str, Any],
        deadline: float,
    ) -> FullAnswer:
        """Return the model's answer in this format; a refusal and a cut are answers too.

        Raises:
            NoSuchModel: The model does not exist, or no longer.
            PassingError: Another try may succeed.
            LLMError: There is no answer for another reason.

        """
        body = {
            "model": model.name,
            **model.parameters,
            "messages": messages,
            "response_format": response_format,
        }
        with self._response(body, deadline) as response:
            return full_answer(response.content)

    @contextmanager
    def _response(self, body: Mapping[str, Any], deadline: float) -> Iterator[httpx2.Response]:
        """Send a request for a completion and lend its response, to be read within the block."""
        options = _options(deadline) | {"headers": {"Content-Type": "application/json"}}
        with _as_llm_errors(), network_deadline(deadline):
            # The client's door for raw requests: `chat.completions.create` walks through every
            # message in Python before it sends them, some 0.2 ms each. Nor are its models built:
            # they validate nothing, so that every part must be looked at anyhow. And JSON that is
            # ready saves it from copying a long history before it writes it.
            response = self._of_this_process().post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=json.dumps(body).encode(),
                options=options,
                stream="stream" in body,
                stream_cls=Stream[Any],
            )
            with closing(cast("httpx2.Response", response)) as received:
                yield received

    def models(self, deadline: float) -> list[Mapping[str, Any]]:
        """Return the provider's description of each of its models, whatever is in it.

        Args:
            deadline: When to give up, in seconds of `time.monotonic()`.

        Raises:
            LLMError: The provider has no list, or gives none.

        """
        with _as_llm_errors(), network_deadline(deadline):
            response = self._of_this_process().get(
                "/models", cast_to=httpx2.Response, options=_options(deadline)
            )
            return [dict(model) for model in json.loads(response.content)["data"]]

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        with self._lock:
            if self._client is not None and self._pid == os.getpid():
                self._client.close()
            self._client = None

    def _of_this_process(self) -> OpenAI:
        """Return the one client of this process.

        Two processes that inherit one client share its connections, and each gets answers that
        were meant for the other.
        """
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                threads = max(self._config.worker_threads, self._config.scoring_calls)
                http_client = DefaultHttpxClient(
                    follow_redirects=False,
                    limits=httpx2.Limits(
                        max_connections=threads, max_keepalive_connections=threads
                    ),
                )
                bound_by_deadline(http_client)
                self._client = OpenAI(
                    api_key=self._config.openai_api_key,
                    base_url=self._config.openai_base_url or OPENAI_URL,
                    http_client=http_client,
                )
                self._pid = os.getpid()
            return self._client


def _options(deadline: float) -> Any:
    """Return the client's options for a request: it must neither wait nor retry by itself."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise LLMError("timeout", "the deadline has passed")
    return {"timeout": left, "max_retries": 0}


def _read(response: httpx2.Response, emit: Emit | None) -> Answer:
    if emit is None:
        return whole_answer(response.content)
    if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        # Some compatible servers do not stream, whatever they are asked.
        answer = whole_answer(response.read())
        emit(answer.text)
        return answer
    content = response.iter_bytes()
    answer = streamed_answer(content, emit)
    # Only a connection that was read to its end is used again. The client's own `Stream` leaves
    # the end of the body unread, and so every call pays for a new one.
    with (
        suppress(httpx2.TransportError, ResponseTooLong),
        network_deadline(time.monotonic() + REST_TIMEOUT),
    ):
        for _ in content:
            pass
    return answer


@contextmanager
def _as_llm_errors() -> Iterator[None]:
    """Turn whatever goes wrong with a request into an `LLMError`."""
    try:
        yield
    except LLMError:
        raise
    except openai.APIStatusError as error:
        raise _status_error(error) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        raise PassingError("timeout", "the provider took too long") from None
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, ResponseTooLong):
            raise LLMError("bad_answer", ResponseTooLong.__name__) from None
        raise PassingError("connection", type(error.__cause__).__name__) from None
    except httpx2.TransportError as error:
        raise PassingError("connection", type(error).__name__) from None
    # Not only the client's own errors: a body that cannot be unpacked, say. Their texts may quote
    # what was sent, the key included, so that only the type is kept.
    except Exception as error:
        raise LLMError("bad_answer", type(error).__name__) from None


def _status_error(error: openai.APIStatusError) -> LLMError:
    """Sort an HTTP error of the provider by what helps against it."""
    # A code is a word like "insufficient_quota"; anything else stays out of the log.
    code = error.code if re.fullmatch(r"[a-z0-9_.-]{1,64}", str(error.code)) else "no code"
    detail = f"status {error.status_code}, {code}"
    is_certain = code == "model_not_found"
    # Some compatible servers send no code; a 404 that is not even JSON comes from a gateway.
    if is_certain or (error.status_code == 404 and isinstance(error.body, dict)):
        return NoSuchModel(detail, is_certain=is_certain)
    if error.status_code in (401, 403):
        return LLMError("refused_key", detail)
    if code in PERMANENT_CODES or error.type == "insufficient_quota":
        return LLMError("no_quota", detail)
    if error.status_code in RETRIED_STATUSES or error.status_code >= 500:
        kind = "rate_limit" if error.status_code == 429 else "provider"
        return PassingError(kind, detail, _retry_after(error.response.headers.get("Retry-After")))
    return LLMError("provider", detail)


def _retry_after(value: str | None) -> float | None:
    """Return the header's seconds; its other form, a date, is left to the caller's own backoff."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
