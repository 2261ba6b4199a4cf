"""A message cut into pieces at the ends of its quotes and flagged sentences, which may overlap."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """A part of a message that something is said about: `content[start:end]`."""

    name: str
    """What an address names it by."""
    message_id: int
    start: int
    end: int
    kind: str
    """`supports`, `detracts` or `flag`."""


class Piece(NamedTuple):
    """Text that the same spans cover, from its first to its last character."""

    text: str
    covering: tuple[Span, ...]
    beginning: tuple[str, ...]
    """The names of the spans that begin with it."""


def pieces(content: str, spans: Iterable[Span]) -> list[Piece]:
    """Return the content in pieces, in order; together they are the content.

    A span that does not lie within the content, or is empty, is left out.
    """
    within = [span for span in spans if 0 <= span.start < span.end <= len(content)]
    cuts = sorted({0, len(content), *(cut for span in within for cut in (span.start, span.end))})
    return [
        Piece(
            content[start:end],
            tuple(span for span in within if span.start <= start and end <= span.end),
            tuple(span.name for span in within if span.start == start),
        )
        for start, end in pairwise(cuts)
    ]


def of_message(spans: Sequence[Span], message_id: int) -> list[Span]:
    """Return the spans of one message."""
    return [span for span in spans if span.message_id == message_id]
