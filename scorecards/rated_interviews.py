"""Interviews that people have rated, read from a file: the measure of a machine that rates them."""

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from statistics import median_high, median_low
from typing import Any, Literal, NamedTuple, TypeGuard

from pydantic import BaseModel, Field

from errors import Invalid
from interviews.history import TranscriptMessage
from positions.position import Rubric, json_of
from scorecards.agreement import Reference
from web.bodies import checked


class BadFile(Exception):
    """The interviews cannot be read; the message names the line."""


class RatedInterview(NamedTuple):
    """An interview that people have rated, from one line of a file."""

    id: str
    transcript: tuple[TranscriptMessage, ...]
    """Without the prompt; the ids are the places in the line's list, from 1 on."""

    rubric: Mapping[str, Any]
    references: Mapping[str, Reference | None]
    """By criterion, in the rubric's order; None if people found too little to go by."""


class _Turn(BaseModel):
    role: Literal["system", "user"]
    content: str


class _Line(BaseModel):
    id: str
    transcript: list[_Turn] = Field(min_length=1)
    rubric: Rubric
    scores: dict[str, Any]


def read_interviews(lines: Iterable[str]) -> list[RatedInterview]:
    """Return the interviews of a JSONL file; blank lines are left out.

    Raises:
        BadFile: A line is not an interview with a rubric and a score for each criterion of it, an
            id occurs twice, or there is no line.

    """
    interviews: dict[str, RatedInterview] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            interview = _interview(line)
        except (Invalid, ValueError) as error:
            raise BadFile(f"Line {number}: {error}") from None
        if interview.id in interviews:
            raise BadFile(f"Line {number}: the id {interview.id!r} occurs twice.")
        interviews[interview.id] = interview
    if not interviews:
        raise BadFile("There is no interview in the file.")
    return list(interviews.values())


def _interview(text: str) -> RatedInterview:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("this is not valid JSON.") from None
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object.")  # noqa: TRY004  # it is text, of any kind
    line = checked(_Line, value)
    criteria = [criterion.id for criterion in line.rubric.criteria]
    if unknown := line.scores.keys() - criteria:
        raise ValueError(f"scores.{min(unknown)} is no criterion of the rubric.")
    if missing := [criterion for criterion in criteria if criterion not in line.scores]:
        raise ValueError(f"scores.{missing[0]} is missing; null says that there is no score.")
    messages = [
        TranscriptMessage(number, turn.content, "", turn.role)
        for number, turn in enumerate(line.transcript, 1)
    ]
    # As `get_messages` gives it, the prompt comes before the interviewer's opening.
    if [message.role for message in messages[:2]] == ["system", "system"]:
        messages = messages[1:]
    if any(one.role == two.role for one, two in pairwise(messages)):
        raise ValueError("the transcript must alternate between system and user.")
    return RatedInterview(
        line.id,
        tuple(messages),
        json_of(line.rubric),
        {criterion: _reference(criterion, line.scores[criterion]) for criterion in criteria},
    )


def _reference(criterion: str, value: object) -> Reference | None:
    """Return what people say of a criterion.

    A list has the scores of several people: their median counts, which of an even number is the
    range between the two in the middle. Those who gave no score do not count, unless they are most.
    """
    match value:
        case None:
            return None
        case {"min": low, "max": high} if _is_score(low) and _is_score(high) and low <= high:
            return Reference(low, high)
        case [_, *_] if all(score is None or _is_score(score) for score in value):
            given = [score for score in value if _is_score(score)]
            if 2 * len(given) < len(value):
                return None
            return Reference(median_low(given), median_high(given))
        case _ if _is_score(value):
            return Reference(value, value)
    raise ValueError(
        f"scores.{criterion} must be a score from 1 to 5, null, a list of the scores of"
        ' several people, or {"min": ..., "max": ...}.'
    )


def _is_score(value: object) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= 5
