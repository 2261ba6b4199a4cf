"""The door to the model: the interviewer's next words.

Knows which model to ask and when to ask again, and nothing of interviews. Whatever goes wrong is an
`LLMError`. One request, and the provider's formats, are the business of `openai_api/`.
"""

import logging
import random
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

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


class LLM:
    """The models of `OPENAI_MODEL`, of which the first that exists answers."""

    def __init__(self, config: Config) -> None:
        self._client = Client(config)
        self._models = config.openai_model

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
        try:
            return self._first_answer(conversation, deadline, emit and _Emitter(emit))
        except LLMError as error:
            log.error("The model gave no answer: %s (%s)", error.kind, error.detail)  # noqa: TRY400
            metrics.MODEL_FAILURES.labels(error.kind).inc()
            raise

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._client.close()

    def _first_answer(
        self, messages: list[ChatMessage], deadline: float, emitter: "_Emitter | None"
    ) -> str:
        """Return the answer of the first model that exists."""
        models = self._models
        for model, following in pairwise(models):
            try:
                return self._answer_with_retries(model, messages, deadline, emitter)
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
        return self._answer_with_retries(models[-1], messages, deadline, emitter)

    def _answer_with_retries(
        self,
        model: Model,
        messages: list[ChatMessage],
        deadline: float,
        emitter: "_Emitter | None",
    ) -> str:
        backoff = FIRST_BACKOFF
        for _ in range(TRIES - 1):
            try:
                return self._answer(model, messages, deadline, emitter)
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
        return self._answer(model, messages, deadline, emitter)

    def _answer(
        self,
        model: Model,
        messages: list[ChatMessage],
        deadline: float,
        emitter: "_Emitter | None",
    ) -> str:
        answer = self._client.complete(model, messages, deadline, emitter)
        _note_tokens(model, answer.usage)
        return answer.text


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


def _note_tokens(model: Model, usage: Any) -> None:
    """Note what the call has used, as far as the provider says it."""
    if not isinstance(usage, dict):
        usage = {}
    record = request_record.current()
    record.model = model.name
    for direction, name in (("in", "prompt_tokens"), ("out", "completion_tokens")):
        tokens = usage.get(name)
        if isinstance(tokens, int) and tokens > 0:
            metrics.TOKENS.labels(model.name, direction).inc(tokens)
            if direction == "in":
                record.tokens_in += tokens
            else:
                record.tokens_out += tokens
