"""The body of a legal hold, beside what it holds."""

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from web.fields import MAX_REASON_CHARS, MAX_REVIEWER_CHARS


class HoldBody(BaseModel):
    """Whether there is to be a hold, why, and who says so."""

    hold: bool
    reason: Annotated[str, Field(max_length=MAX_REASON_CHARS)]
    reviewer: Annotated[str, Field(max_length=MAX_REVIEWER_CHARS)]

    @field_validator("reason", "reviewer")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank.")
        return text
