"""The runs of a scorecard: every criterion, asked of a model as often as the settings say.

Knows neither the database nor what the answers come to. All scorecards of a process share its
threads, and so its bound on calls at once.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import Any, NamedTuple, TypedDict

from config import Config
from db import InterviewKey
from interviews.history import TranscriptMessage
from llm import LLM, Completion, LLMError, PassingError
from scorecards.asking import (
    RULES,
    SCHEMA,
    SCHEMA_NAME,
    NotARating,
    ShownTranscript,
    messages_for,
    rating_of,
    shown,
)
from scorecards.placeholders import Placeholders
from scorecards.scorecard import Flag
from scorecards.suspicion import masked

# Answers that one run asks for until one is a rating.
TRIES = 3

# Seconds between two looks at whether the scorecard is still ours to make.
LOOK = 1.0


class RunKey(NamedTuple):
    """One run among those of a scorecard."""

    criterion_id: str
    is_masked: bool
    """Whether the model reads the transcript with the flagged sentences masked."""

    number: int
    """1 up to `SCORING_RUNS`."""


class Answered(TypedDict):
    """An answer as it is stored, in JSON."""

    answer: str
    """What the model wrote, as it is; empty if it wrote nothing."""

    refusal: str | None
    finish_reason: str
    model_asked: str
    model_answered: str
    parameters: Mapping[str, str | float]
    fingerprint: str | None
    response_id: str | None
    tokens_in: int
    tokens_out: int
    seconds: float
    """Time that the request with this answer took."""


class Attempt(TypedDict):
    """An answer that was not a rating, or that did not come."""

    problem: str
    """Why it was not, in words that hold none of the answer's."""

    answered: Answered | None


class RunRecord(Answered):
    """A run as it is stored: `rating_of(answer, placeholders)` is its rating."""

    placeholders: Placeholders
    """What stood for the applicant's name and the like, and the words in its place."""

    attempts: list[Attempt]
    """What came before the answer."""


class ScoringFailed(Exception):
    """A run has no rating.

    `reason` holds no personal data; `is_passing` says whether asking later may help.
    """

    def __init__(self, reason: str, *, is_passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_passing = is_passing


class Rater:
    """Asks the models for all runs of a scorecard; one for each process."""

    def __init__(self, llm: LLM, config: Config, rules: str = RULES) -> None:
        """Take the settings, and the rules to try in the place of the service's own."""
        self._llm = llm
        self._rules = rules
        self._runs = config.scoring_runs
        self._calls = config.scoring_calls
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    def rate(
        self,
        transcript: Sequence[TranscriptMessage],
        interview: InterviewKey,
        rubric: Mapping[str, Any],
        flags: Sequence[Flag],
        known: Mapping[RunKey, RunRecord],
        deadline: float,
        on_run: Callable[[RunKey, RunRecord], None],
        is_held: Callable[[], bool],
    ) -> dict[RunKey, RunRecord]:
        """Return every run of the scorecard, the known ones included.

        Where sentences are flagged, each criterion is rated as often with them masked.

        Args:
            transcript: The messages without the prompt.
            interview: Whose it is: what identifies the applicant is kept from the model.
            rubric: The rubric's JSON.
            flags: The sentences that may be meant for the scorer.
            known: Runs that were made before, which are not made again.
            deadline: When to give up, in seconds of `time.monotonic()`.
            on_run: Takes each run as it comes, in the calling thread.
            is_held: Says, in the calling thread, whether to go on.

        Raises:
            ScoringFailed: A run has no rating, or `is_held` has said no. What was under way is
                waited for in the first case, and left in the second.

        """
        versions = {False: shown(transcript, interview)}
        if flags:
            versions[True] = shown(masked(transcript, flags), interview)
        has_stopped = Event()
        pool = self._threads()
        pending: dict[Future[RunRecord], RunKey] = {}
        runs = dict(known)
        failure: ScoringFailed | None = None
        try:
            for criterion in rubric["criteria"]:
                for is_masked, version in versions.items():
                    for number in range(1, self._runs + 1):
                        key = RunKey(criterion["id"], is_masked, number)
                        if key not in runs:
                            run = pool.submit(self._run, criterion, version, deadline, has_stopped)
                            pending[run] = key
            while pending:
                done, _ = wait(pending, timeout=LOOK, return_when=FIRST_COMPLETED)
                for run in done:
                    key = pending.pop(run)
                    if run.cancelled():
                        continue
                    try:
                        runs[key] = run.result()
                    except ScoringFailed as error:
                        failure = failure or error
                        has_stopped.set()
                    else:
                        on_run(key, runs[key])
                if failure is not None:
                    for run in pending:
                        run.cancel()
                elif not is_held():
                    raise ScoringFailed("the work was taken away", is_passing=True)
        finally:
            has_stopped.set()
            for run in pending:
                run.cancel()
        if failure is not None:
            raise failure
        return runs

    def close(self) -> None:
        """Take no more runs, and forget those that have not begun."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._calls, thread_name_prefix="rating")
            return self._pool

    def _run(
        self,
        criterion: Mapping[str, Any],
        transcript: ShownTranscript,
        deadline: float,
        has_stopped: Event,
    ) -> RunRecord:
        """Ask until an answer is a rating, and return the run."""
        messages = messages_for(criterion, transcript, self._rules)
        attempts: list[Attempt] = []
        while not has_stopped.is_set():
            try:
                completion = self._llm.complete_json(messages, SCHEMA_NAME, SCHEMA, deadline)
            except LLMError as error:
                # A gateway's page in the place of an answer, say, which it may not send again.
                if error.kind != "bad_answer" or len(attempts) == TRIES - 1:
                    raise _failed(error) from error
                problem = f"{error.kind} ({error.detail})"
                attempts.append({"problem": problem, "answered": None})
                continue
            answered = _answered(completion)
            not_a_rating = _problem(completion, transcript)
            if not_a_rating is None:
                return {
                    **answered,
                    "placeholders": transcript.placeholders,
                    "attempts": attempts,
                }
            if len(attempts) == TRIES - 1:
                raise ScoringFailed(f"the model gave no rating: {not_a_rating}", is_passing=False)
            attempts.append({"problem": not_a_rating, "answered": answered})
        raise ScoringFailed("another run failed", is_passing=True)


def _answered(completion: Completion) -> Answered:
    return {
        "answer": completion.text,
        "refusal": completion.refusal,
        "finish_reason": completion.finish_reason,
        "model_asked": completion.model_asked,
        "model_answered": completion.model_answered,
        "parameters": dict(completion.parameters),
        "fingerprint": completion.fingerprint,
        "response_id": completion.response_id,
        "tokens_in": completion.tokens_in,
        "tokens_out": completion.tokens_out,
        "seconds": completion.seconds,
    }


def _problem(completion: Completion, transcript: ShownTranscript) -> str | None:
    """Return why the answer is not a rating, if it is not."""
    if completion.refusal is not None:
        return "the model refused"
    if completion.finish_reason != "stop":
        return f"the answer is not whole: finish_reason {completion.finish_reason or 'missing'}"
    try:
        rating_of(completion.text, transcript.placeholders)
    except NotARating as error:
        return error.reason
    return None


def _failed(error: LLMError) -> ScoringFailed:
    """Return the failure; only a request that the provider does not take is for good.

    An API key, an account or a name of a model that does not serve is mended by whoever runs the
    service, often within the time that a job is tried again.
    """
    is_for_good = error.kind == "provider" and not isinstance(error, PassingError)
    return ScoringFailed(
        f"the model gave no answer: {error.kind} ({error.detail})", is_passing=not is_for_good
    )
