"""A position as a recruiter puts it: the models of its JSON, and what follows from them.

The models load pydantic, so that only views and commands that need one import this module.
"""

import json
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 2_000  # of an objective, a question, a definition, a rationale
MAX_ANCHOR_CHARS = 1_000
MAX_LANGUAGE_CHARS = 100
MAX_QUESTIONS = 20
MAX_CRITERIA = 8
MAX_NOTICE_CHARS = 20_000
MAX_CORRECTION_HOURS = 2_160  # 90 days, as long as an invitation lasts at most
MAX_RETENTION_DAYS = 3_650
MAX_METADATA = 20
MAX_METADATA_NAME_CHARS = 100
MAX_METADATA_CHARS = 500


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank.")
    if "\0" in text:
        raise ValueError("must not hold NUL.")
    return text


def _whole(number: object) -> object:
    """Return 60 for 60.0, which to JSON is the same whole number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Title = Annotated[str, Field(max_length=MAX_TITLE_CHARS), AfterValidator(_not_blank)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(_not_blank)]
Anchor = Annotated[str, Field(max_length=MAX_ANCHOR_CHARS), AfterValidator(_not_blank)]
Language = Annotated[str, Field(max_length=MAX_LANGUAGE_CHARS), AfterValidator(_not_blank)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]
# So that 1 and 1.0, which are the same weight, are the same rubric.
Number = Annotated[float, PlainSerializer(_whole)]


class Question(BaseModel):
    """A question of a plan."""

    text: Text
    follow_ups: Annotated[WholeNumber, Field(ge=0, le=3)] = Field(default=1, alias="followUps")


class Plan(BaseModel):
    """An interview's plan, from which its prompt is made."""

    objective: Text
    questions: Annotated[list[Question], Field(min_length=1, max_length=MAX_QUESTIONS)]
    language: Language = "English"


class Anchors(BaseModel):
    """The behaviour that stands for the scores of a criterion."""

    # An anchor for a score that there is not would be lost without a word.
    model_config = ConfigDict(extra="forbid")

    one: Anchor = Field(alias="1")
    two: Anchor | None = Field(default=None, alias="2")
    three: Anchor = Field(alias="3")
    four: Anchor | None = Field(default=None, alias="4")
    five: Anchor = Field(alias="5")

    @model_validator(mode="after")
    def _all_differ(self) -> "Anchors":
        given = [text.strip() for text in self.model_dump().values() if text is not None]
        if len(set(given)) < len(given):
            raise ValueError("must all be different.")
        return self


class Criterion(BaseModel):
    """A criterion, which is rated by itself from 1 to 5."""

    id: Annotated[str, Field(min_length=1, max_length=40)]
    title: Title
    definition: Text
    weight: Annotated[Number, Field(ge=0.1, le=10)] = 1.0
    anchors: Anchors

    @field_validator("id")
    @classmethod
    def _is_plain(cls, id_: str) -> str:
        if not set(id_) <= set("abcdefghijklmnopqrstuvwxyz0123456789_"):
            raise ValueError("must be of a to z, 0 to 9 and underscores.")
        return id_


class Rubric(BaseModel):
    """The criteria by which a position's applicants are rated."""

    criteria: Annotated[list[Criterion], Field(min_length=1, max_length=MAX_CRITERIA)]
    min_coverage: Annotated[Number, Field(ge=0, le=1)] = Field(default=0.6, alias="minCoverage")
    weights_rationale: Text | None = Field(default=None, alias="weightsRationale")

    @field_validator("criteria")
    @classmethod
    def _ids_differ(cls, criteria: list[Criterion]) -> list[Criterion]:
        if len({criterion.id for criterion in criteria}) < len(criteria):
            raise ValueError("must all have different ids.")
        return criteria

    @model_validator(mode="after")
    def _says_why_weights_differ(self) -> "Rubric":
        weights = {criterion.weight for criterion in self.criteria}
        if len(weights) > 1 and self.weights_rationale is None:
            raise ValueError("must have a weightsRationale, as its weights are unequal.")
        return self


class NoticeBody(BaseModel):
    """What applicants are told before they start."""

    text: Annotated[str, Field(max_length=MAX_NOTICE_CHARS), AfterValidator(_not_blank)]
    language: Language


def _bounded_names(metadata: object) -> object:
    """Refuse long names first, as the sentences for bad values repeat them."""
    if isinstance(metadata, dict) and not all(
        1 <= len(name) <= MAX_METADATA_NAME_CHARS for name in metadata
    ):
        raise ValueError(f"must have names of 1 to {MAX_METADATA_NAME_CHARS} characters.")
    return metadata


Metadata = Annotated[
    dict[str, Annotated[str, Field(max_length=MAX_METADATA_CHARS)]],
    Field(max_length=MAX_METADATA),
    BeforeValidator(_bounded_names),
]


class PositionBody(BaseModel):
    """The body of `PUT /positions/<access_key>`; null is the same as missing."""

    title: Title
    prompt: Annotated[str, AfterValidator(_not_blank)] | None = None
    """As long as `MAX_PROMPT_CHARS` says, which the model does not know."""

    plan: Plan | None = None
    rubric: Rubric | None = None
    scoring: Literal["manual", "automatic"] | None = None
    time_limit: Annotated[WholeNumber, Field(ge=60, le=14_400)] | None = Field(
        default=None, alias="timeLimit"
    )
    is_open: bool | None = Field(default=None, alias="isOpen")
    notice: NoticeBody | None = None
    consent_required: bool | None = Field(default=None, alias="consentRequired")
    correction_hours: Annotated[WholeNumber, Field(ge=0, le=MAX_CORRECTION_HOURS)] | None = Field(
        default=None, alias="correctionHours"
    )
    retention_days: Annotated[WholeNumber, Field(ge=1, le=MAX_RETENTION_DAYS)] | None = Field(
        default=None, alias="retentionDays"
    )
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _has_one_prompt(self) -> "PositionBody":
        if (self.prompt is None) == (self.plan is None):
            raise ValueError("must have either a prompt or a plan.")
        return self


# Characters of all texts of a body but its prompt, each as long as it may be.
MAX_CHARS_BESIDE_PROMPT = (
    MAX_TITLE_CHARS
    + MAX_TEXT_CHARS * (1 + MAX_QUESTIONS)
    + MAX_LANGUAGE_CHARS
    + MAX_CRITERIA * (40 + MAX_TITLE_CHARS + MAX_TEXT_CHARS + 5 * MAX_ANCHOR_CHARS)
    + MAX_TEXT_CHARS
    + MAX_NOTICE_CHARS
    + MAX_LANGUAGE_CHARS
    + MAX_METADATA * (MAX_METADATA_NAME_CHARS + MAX_METADATA_CHARS)
)


def json_of(model: BaseModel) -> dict[str, Any]:
    """Return a plan or a rubric as JSON: with its defaults, and without anchors that are null."""
    value: dict[str, Any] = model.model_dump(by_alias=True)
    for criterion in value.get("criteria", ()):
        anchors = criterion["anchors"]
        criterion["anchors"] = {score: text for score, text in anchors.items() if text is not None}
    return value


def canonical(value: dict[str, Any]) -> str:
    """Return JSON that is the same for the same value: names sorted, no white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def rubric_sha256(rubric: Rubric) -> str:
    """Return the SHA-256 of the rubric's canonical JSON in UTF-8, as 64 hexadecimal digits."""
    return sha256(canonical(json_of(rubric)).encode()).hexdigest()
