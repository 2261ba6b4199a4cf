"""The parts of a scorecard, as plain values."""

from typing import Literal, NamedTuple

JOB_KIND = "score"
"""The kind of the jobs that make scorecards; the subject of each is a scorecard's id."""

Polarity = Literal["supports", "detracts"]

Rejection = Literal[
    "not_found",
    "wrong_message",
    "not_the_applicant",
    "too_short",
    "too_long",
    "joined",
    "instruction",
]
"""Why a quote is not evidence: it was not said, or not in that message, or not by the applicant; it
has fewer or more characters than a quote may have; parts of it are joined by an ellipsis; it lies
in a sentence that addresses the scorer."""

CriterionState = Literal["scored", "insufficient_evidence", "needs_review"]

ScorecardState = Literal["pending", "scored", "needs_review", "failed"]


class Claim(NamedTuple):
    """A quote as the model gives it, before it is verified."""

    message_id: int
    quote: str
    polarity: Polarity


class Rating(NamedTuple):
    """The model's answer about one criterion."""

    evidence: tuple[Claim, ...]
    rationale: str
    score: int | None
    """1 to 5; None if the model finds too little to go by."""


class Evidence(NamedTuple):
    """A verified quote: `content[start:end] == quote` for the message's content."""

    message_id: int
    start: int
    end: int
    quote: str
    polarity: Polarity


class RejectedEvidence(NamedTuple):
    """A quote that the model gave and the verification refused, as the model wrote it."""

    criterion: str
    message_id: int
    quote: str
    reason: Rejection


class Flag(NamedTuple):
    """A sentence of the applicant's that may be meant for the scorer; never a penalty."""

    type: Literal["injection_suspected"]
    message_id: int
    start: int
    end: int
    is_in_note: bool = False
    """Whether the places are those of the note that stands beside the message."""

    def as_json(self) -> dict[str, str | int]:
        """Return the flag as it is stored and as clients read it."""
        value = self._asdict()
        del value["is_in_note"]
        return value


class JudgedRun(NamedTuple):
    """One run about one criterion, after verification."""

    score: int | None
    """The model's score; None if the run abstains, also for want of one verified quote."""
    rationale: str
    """Without quotations that nobody said; empty if its score rests on no verified quote."""
    evidence: tuple[Evidence, ...]
    rejected: tuple[RejectedEvidence, ...]


class CriterionResult(NamedTuple):
    """The result of the runs about one criterion."""

    id: str
    title: str
    state: CriterionState
    score: int | None
    """The median if the state is `scored`, otherwise None: then it is left to a person."""
    machine_score: int | None
    """The median of the runs that count, also if the state is `needs_review`; None if most of them
    abstained."""
    runs: tuple[int | None, ...]
    """The score of each run that counts, None for one that abstained."""
    unmasked_runs: tuple[int | None, ...]
    """The scores with flagged sentences in the text; empty if none were flagged."""
    rationale: str
    evidence: tuple[Evidence, ...]
