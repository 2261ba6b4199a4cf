"""The verification of quotes: what a scorecard shows as said is what the database holds as said.

A quote that the model gives is looked for in the message that it names. What is shown is always the
stored text, never the model's; whatever is not found there is refused with a reason.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

from interviews.history import TranscriptMessage
from scorecards.folding import Folded, fold, widened, with_whole_words
from scorecards.scorecard import Claim, Evidence, Flag, RejectedEvidence, Rejection
from scorecards.suspicion import masked

SHORTEST = 12
LONGEST = 300
"""Characters of a quote, both as the model gives it and as it is stored."""

_ELLIPSIS = re.compile(r"\u2026|\.{3,}|\. \. \.")

_WORDLESS = {"M", "P", "Z", "Cc", "Cf"}
"""Categories of characters, by their first letter or whole, that say nothing by themselves."""


def verify(
    criterion: str,
    claims: Sequence[Claim],
    transcript: Sequence[TranscriptMessage],
    flags: Sequence[Flag],
) -> tuple[tuple[Evidence, ...], tuple[RejectedEvidence, ...]]:
    """Return the quotes that the applicant said, each once, and those that are refused."""
    return Said(transcript, flags).verify(criterion, claims)


class Said:
    """The words of an interview, prepared for looking up quotes."""

    def __init__(self, transcript: Sequence[TranscriptMessage], flags: Sequence[Flag] = ()) -> None:
        self._turns = {
            message.id: _Turn(message, unflagged.content)
            for message, unflagged in zip(transcript, masked(transcript, flags), strict=True)
        }

    def has(self, text: str) -> bool:
        """Return whether anybody said so, applicant or interviewer."""
        return any(turn.has(_Quote(text)) for turn in self._turns.values())

    def verify(
        self, criterion: str, claims: Sequence[Claim]
    ) -> tuple[tuple[Evidence, ...], tuple[RejectedEvidence, ...]]:
        """Return the quotes that the applicant said, each once, and those that are refused."""
        evidence: dict[Evidence, None] = {}
        rejected = []
        for claim in claims:
            found = self.find(claim)
            if isinstance(found, Evidence):
                evidence[found] = None
            else:
                rejected.append(RejectedEvidence(criterion, claim.message_id, claim.quote, found))
        return tuple(evidence), tuple(rejected)

    def find(self, claim: Claim) -> Evidence | Rejection:
        """Return what the applicant said in the message that the claim names, or why nothing."""
        quote = _Quote(claim.quote.strip())
        if len(quote.text) < SHORTEST or quote.is_wordless():
            return "too_short"
        if len(quote.text) > LONGEST:
            return "too_long"
        turn = self._turns.get(claim.message_id)
        if turn and not turn.is_applicants:
            return "not_the_applicant"
        place = turn.place_of(quote) if turn else None
        if not turn or not place:
            return self._why_not(quote, turn)
        start, end = with_whole_words(turn.content, *place)
        if turn.is_flagged(start, end):
            return "instruction"
        if end - start < SHORTEST:
            return "too_short"
        if end - start > LONGEST:
            return "too_long"
        return Evidence(claim.message_id, start, end, turn.content[start:end], claim.polarity)

    def _why_not(self, quote: "_Quote", turn: "_Turn | None") -> Rejection:
        if turn and turn.has(quote):
            return "instruction"
        if any(other.is_applicants and other.has(quote) for other in self._turns.values()):
            return "wrong_message"
        if turn and any(other.has(quote) for other in self._turns.values()):
            return "not_the_applicant"
        return "joined" if quote.is_joined() else "not_found"


class _Quote:
    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    def is_wordless(self) -> bool:
        categories = map(unicodedata.category, self.folded)
        return all(category in _WORDLESS or category[0] in _WORDLESS for category in categories)

    def is_joined(self) -> bool:
        """Return whether an ellipsis stands between words."""
        parts = _ELLIPSIS.split(self.text)
        return sum(any(map(str.isalnum, part)) for part in parts) > 1


class _Turn:
    """A message, folded when the first quote is not found in it to the letter."""

    def __init__(self, message: TranscriptMessage, unflagged: str) -> None:
        self.content = message.content
        self.is_applicants = message.role == "user"
        self._unflagged = unflagged

    @cached_property
    def _folded(self) -> Folded:
        return Folded(self.content)

    @cached_property
    def _folded_unflagged(self) -> Folded:
        return self._folded if self._unflagged == self.content else Folded(self._unflagged)

    def has(self, quote: _Quote) -> bool:
        return quote.text in self.content or quote.folded in self._folded.text

    def place_of(self, quote: _Quote) -> tuple[int, int] | None:
        """Return where the quote is first said outside of flagged sentences."""
        start = self._unflagged.find(quote.text)
        if start >= 0:
            return widened(self.content, start, start + len(quote.text))
        start = self._folded_unflagged.text.find(quote.folded)
        if start >= 0:
            return self._folded_unflagged.span(start, start + len(quote.folded))
        return None

    def is_flagged(self, start: int, end: int) -> bool:
        return self._unflagged[start:end] != self.content[start:end]
