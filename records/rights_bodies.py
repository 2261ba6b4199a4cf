"""The bodies of what applicants ask for, beside the interview that each of them names."""

from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from positions.position import WholeNumber
from web.fields import MAX_NOTE_CHARS

# What the columns of every database can hold.
MAX_VERSION = 2**31 - 1
MAX_MESSAGE_ID = 2**63 - 1


class ConsentBody(BaseModel):
    """The version of the notice that is accepted."""

    version: Annotated[WholeNumber, Field(ge=1, le=MAX_VERSION)]


class CorrectionBody(BaseModel):
    """A note to a message."""

    message_id: Annotated[WholeNumber, Field(ge=1, le=MAX_MESSAGE_ID)]
    note: Annotated[str, Field(max_length=MAX_NOTE_CHARS)]

    @field_validator("note")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank.")
        return text
