"""The body of a decision, beside the interview that it names."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from web.fields import MAX_REASON_CHARS, MAX_REVIEWER_CHARS


class DecisionBody(BaseModel):
    """What a person decides about an applicant, why, and who it is."""

    decision: Literal["undecided", "potential", "selected", "rejected"]
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)]
    reviewer: Annotated[str, Field(max_length=MAX_REVIEWER_CHARS)]

    @field_validator("reason", "reviewer")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank.")
        return text
