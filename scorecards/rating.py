"""The runs of a scorecard: every criterion, asked of a model as often as the settings say.

Knows neither the database nor what the answers come to.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from threading import BoundedSemaphore, Event, Thread
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
    """True if the model reads the transcript with the flagged sentences masked."""

    number: int
    """1 up to `SCORING_RUNS`."""


class Answered(TypedDict):
    """An answer as it is stored, in JSON."""

    answer: str
    """The model's text as it is; empty if it wrote nothing."""

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
    """The reason, in words that hold none of the answer's."""

    answered: Answered | None


class RunRecord(Answered):
    """A run as it is stored: `rating_of(answer, placeholders)` is its rating."""

    placeholders: Placeholders
    """Placeholders that stood for the applicant's name and the like, and the words of each."""

    attempts: list[Attempt]
    """Attempts before the answer."""


class ScoringFailed(Exception):
    """A run has no rating.

    `reason` holds no personal data; `is_passing` says whether asking later may help.
    """

    def __init__(self, reason: str, *, is_passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_passing = is_passing


class _Task(NamedTuple):
    """A run that is to be made; `run` gets None if it is not made as another one has failed."""

    key: RunKey
    criterion: Mapping[str, Any]
    transcript: ShownTranscript
    run: Future[RunRecord | None]


class Rater:
    """Asks the models for all runs of a scorecard; one for each process."""

    def __init__(self, llm: LLM, config: Config, rules: str = RULES) -> None:
        """Take the settings, and the rules to try in the place of the service's own."""
        self._llm = llm
        self._rules = rules
        self._runs = config.scoring_runs
        self._threads = config.scoring_calls
        self._calls = BoundedSemaphore(config.scoring_calls)  # of all scorecards together

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
            ScoringFailed: A run has no rating: no other is begun, and those under way are waited
                for. Or `is_held` has said no: those under way are left.

        """
        versions = {False: shown(transcript, interview)}
        if flags:
            versions[True] = shown(masked(transcript, flags), interview)
        runs = dict(known)
        tasks = deque(
            _Task(RunKey(criterion["id"], is_masked, number), criterion, version, Future())
            for criterion in rubric["criteria"]
            for is_masked, version in versions.items()
            for number in range(1, self._runs + 1)
            if RunKey(criterion["id"], is_masked, number) not in runs
        )
        pending = {task.run: task.key for task in tasks}
        has_stopped = Event()
        try:
            for _ in range(min(self._threads, len(tasks))):
                # A daemon, as a call under way must not keep the process from ending.
                Thread(
                    target=self._work,
                    args=(tasks, deadline, has_stopped),
                    name="rating",
                    daemon=True,
                ).start()
            for key, run in _as_they_come(pending, is_held):
                runs[key] = run
                on_run(key, run)
        finally:
            has_stopped.set()
        return runs

    def _work(self, tasks: deque[_Task], deadline: float, has_stopped: Event) -> None:
        """Do one task after the other, until there is none or one has failed."""
        while True:
            with self._calls:
                try:
                    task = tasks.popleft()
                except IndexError:
                    return
                try:
                    run = self._rated(task.criterion, task.transcript, deadline, has_stopped)
                except BaseException as error:
                    has_stopped.set()
                    task.run.set_exception(error)
                else:
                    task.run.set_result(run)

    def _rated(
        self,
        criterion: Mapping[str, Any],
        transcript: ShownTranscript,
        deadline: float,
        has_stopped: Event,
    ) -> RunRecord | None:
        """Ask until an answer is a rating; return None if another run has failed meanwhile."""
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
        return None


def _as_they_come(
    pending: dict[Future[RunRecord | None], RunKey], is_held: Callable[[], bool]
) -> Iterator[tuple[RunKey, RunRecord]]:
    """Yield the runs and take them from those pending; raise at the end if one is missing."""
    failure: ScoringFailed | None = None
    while pending:
        done, _ = wait(pending, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in done:
            key = pending.pop(future)
            try:
                run = future.result()
            except ScoringFailed as error:
                if failure is None or failure.is_passing:
                    failure = error
            else:
                if run is not None:
                    yield key, run
        if pending and not is_held():
            raise failure or ScoringFailed("the work was taken away", is_passing=True)
    if failure is not None:
        raise failure


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
