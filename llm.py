"""The door to the model: the interviewer's next words, and answers in JSON.

Knows which model to ask and when to ask again, and nothing of interviews. Whatever goes wrong is an
`LLMError`. One request, and the provider's formats, are the business of `openai_api/`.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from config import Config, Model
from monitoring import metrics, request_record
from openai_api import model_ends
from openai_api.client import ChatMessage as ChatMessage
from openai_api.client import Client
from openai_api.completions import Emit as Emit
from openai_api.errors import LLMError as LLMError
from openai_api.errors import NoSuchModel, PassingError

log = logging.getLogger(__name__)

# As many tries as the OpenAI client would make by itself. It is not left to that, because it sleeps
# as long as the server's Retry-After says, past any deadline.
TRIES = 3

# Seconds before the first retry; doubled for each further one, up to a quarter less by chance.
FIRST_BACKOFF = 0.5


Result = TypeVar("Result")


class Completion(NamedTuple):
    """An answer in JSON, as far as it came, with what belongs into a record of it."""

    text: str
    """Empty if there is none, as with most refusals."""

    finish_reason: str
    """`stop` if the model came to the end of it; `length`, `content_filter` or others if not."""

    refusal: str | None
    model_asked: str
    model_answered: str
    """As the provider says it, often with a date; empty if it does not."""

    parameters: Mapping[str, str | float]
    fingerprint: str | None
    response_id: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    """Time that the request with this answer took; those before it that failed are not in it."""


class LLM:
    """Models of which the first that exists answers, by default those of `OPENAI_MODEL`."""

    def __init__(self, config: Config, models: tuple[Model, ...] | None = None) -> None:
        self._client = Client(config)
        self._models = models or config.openai_model

    def answer(
        self, messages: Iterable[ChatMessage], deadline: float, emit: Emit | None = None
    ) -> str:
        """Return the model's next message.

        Args:
            messages: The conversation, oldest first.
            deadline: When to give up, in seconds of `time.monotonic()`.
            emit: Takes each piece as it comes, before it is known whether the answer will be whole;
                without it, the provider is asked for the whole at once, which costs less.

        Raises:
            LLMError: There is no whole answer, or none in time. The cause is in the log.

        """
        conversation = list(messages)
        emitter = emit and _Emitter(emit)

        def ask(model: Model) -> str:
            answer = self._client.complete(model, conversation, deadline, emitter)
            _note_tokens(model, answer.usage)
            return answer.text

        return self._first_answer(ask, deadline, emitter)

    def complete_json(
        self,
        messages: Iterable[ChatMessage],
        name: str,
        schema: Mapping[str, Any],
        deadline: float,
    ) -> Completion:
        """Return the model's answer in JSON, whole or not.

        The provider holds the model to the schema, and still the text may be anything: the caller
        must check it, and look at `finish_reason` and `refusal`.

        Args:
            messages: What is asked.
            name: The schema's name; a provider may keep what it has made of the schema under it.
            schema: A JSON schema within what strict structured output takes.
            deadline: When to give up, in seconds of `time.monotonic()`.

        Raises:
            LLMError: There is no answer, or none in time. The cause is in the log.

        """
        conversation = list(messages)
        json_schema = {"name": name, "strict": True, "schema": schema}
        response_format = {"type": "json_schema", "json_schema": json_schema}

        def ask(model: Model) -> Completion:
            began = time.monotonic()
            answer = self._client.complete_json(model, conversation, response_format, deadline)
            tokens_in, tokens_out = _note_tokens(model, answer.usage)
            return Completion(
                text=answer.text,
                finish_reason=answer.finish_reason,
                refusal=answer.refusal,
                model_asked=model.name,
                model_answered=answer.model,
                parameters=model.parameters,
                fingerprint=answer.fingerprint,
                response_id=answer.response_id,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                seconds=time.monotonic() - began,
            )

        return self._first_answer(ask, deadline)

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._client.close()

    def _first_answer(
        self, ask: Callable[[Model], Result], deadline: float, emitter: "_Emitter | None" = None
    ) -> Result:
        """Return the answer of the first model that exists; log why there is none."""
        try:
            return self._answer_of_first_model(ask, deadline, emitter)
        except LLMError as error:
            log.error("The model gave no answer: %s (%s)", error.kind, error.detail)  # noqa: TRY400
            metrics.count_model_failure(error.kind)
            raise

    def _answer_of_first_model(
        self, ask: Callable[[Model], Result], deadline: float, emitter: "_Emitter | None"
    ) -> Result:
        models = self._models
        for model, following in pairwise(models):
            try:
                return _answer_with_retries(model, ask, deadline, emitter)
            except NoSuchModel as error:
                log.warning(
                    "Model %s does not exist (%s); going on with %s",
                    model.name,
                    error.detail,
                    following.name,
                )
                if error.is_certain:
                    # It will not come back: later calls of this process begin with the next one.
                    self._models = models[models.index(following) :]
        return _answer_with_retries(models[-1], ask, deadline, emitter)


def _answer_with_retries(
    model: Model,
    ask: Callable[[Model], Result],
    deadline: float,
    emitter: "_Emitter | None",
) -> Result:
    backoff = FIRST_BACKOFF
    for _ in range(TRIES - 1):
        try:
            return ask(model)
        except PassingError as error:
            if emitter is not None and emitter.has_emitted:
                raise  # the pieces of another try would not fit those of this one
            wait = backoff * random.uniform(0.75, 1)  # noqa: S311  # no secret hangs on it
            if error.wait is not None:
                wait = max(wait, error.wait)
            if time.monotonic() + wait >= deadline:
                raise
            time.sleep(wait)
            backoff *= 2
    return ask(model)


def warn_of_model_ends(config: Config) -> None:
    """Log a warning now and once a day of each model of `OPENAI_MODEL` that is about to end.

    It returns at once: a thread asks the provider, so that this must not be called before a fork.
    """
    model_ends.warn_daily(config)


class _Emitter:
    """Passes pieces on, and remembers whether there were any."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.has_emitted = False

    def __call__(self, piece: str) -> None:
        self.has_emitted = True
        self._emit(piece)


def _note_tokens(model: Model, usage: Any) -> tuple[int, int]:
    """Note and return the tokens that the call has read and written, as far as they are told."""
    if not isinstance(usage, dict):
        usage = {}
    counts = []
    for name in ("prompt_tokens", "completion_tokens"):
        tokens = usage.get(name)
        counts.append(tokens if isinstance(tokens, int) and tokens > 0 else 0)
    tokens_in, tokens_out = counts
    record = request_record.current()
    record.model = model.name
    record.tokens_in += tokens_in
    record.tokens_out += tokens_out
    for direction, tokens in (("in", tokens_in), ("out", tokens_out)):
        if tokens:
            metrics.count_tokens(model.name, direction, tokens)
    return tokens_in, tokens_out
