"""The bodies of the scorecards' endpoints, beside the interview that each of them names."""

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from positions.position import WholeNumber
from web.fields import MAX_REASON_CHARS, MAX_REVIEWER_CHARS


class ScoreRequest(BaseModel):
    """A request for a scorecard."""

    again: bool = False


class ReviewRequest(BaseModel):
    """A person's word on one criterion."""

    id: Annotated[str, Field(max_length=32)]
    criterion: Annotated[str, Field(max_length=40)]
    score: Annotated[WholeNumber, Field(ge=1, le=5)] | None
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)]
    reviewer: Annotated[str, Field(max_length=MAX_REVIEWER_CHARS)]

    @field_validator("reason", "reviewer")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank.")
        return text
