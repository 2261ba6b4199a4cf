"""Sentences of applicants that may be meant for the scorer.

Many of them are honest: whoever has defended a chatbot will quote its attackers. So a flag is never
a penalty: the sentence is no evidence, and the score is taken a second time without it, which shows
the difference that it makes. No list of phrases is complete. That the transcript is given as data,
and that a score must rest on what was said, hold without it.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from interviews.history import TranscriptMessage
from scorecards.folding import MARKS, Folded, folded
from scorecards.invisible import invisible_in
from scorecards.phrases import (
    BEFORE_AN_IMPERATIVE,
    DELIMITERS,
    ENDS,
    IMPERATIVES,
    OPENINGS,
    PHRASES,
)
from scorecards.scorecard import Flag

MASK: Final = "\u2588"

FARTHEST: Final = 300
"""Characters that a flag takes in on either side; text that was dictated may have no full stop."""

_STOP = re.compile(
    r"[.!?\u2026\u06d4\u0964]+(?=[\s\"'\u2019\u201d\u00bb)\]*_]|$)|[\u3002\uff01\uff1f]|[\r\n]+"
)

_LINE = re.compile(r"[^\r\n]+")

_WHITE_SPACE = re.compile(r"\s+")

# Before the first word of a sentence.
_OPENING = " \t*_#>[('\"\u2018\u201c\u00ab-\u2013\u2014\u2022"

_MARK = re.compile(f"[{MARKS}]+")

# Letters of Cyrillic, Greek and phonetics that pass for Latin ones.
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u043a\u043c\u0442\u0432"
    "\u043d\u03b1\u03b5\u03bf\u03c1\u03c5\u03b9\u03ba\u03bd\u03c4\u03c7\u0261\u0251\u028f",
    "aeopcyxijsdhkmtbhaeopuikvtxgay",
)


def flags_of(transcript: Sequence[TranscriptMessage]) -> tuple[Flag, ...]:
    """Return the suspicious sentences of the applicant, in their order; neighbours are one flag.

    Those of a note come behind those of the message that it stands beside.
    """
    flags = []
    for message in transcript:
        if message.role != "user":
            continue
        note = message.correction.note if message.correction else ""
        for text, is_in_note in ((message.content, False), (note, True)):
            flags += [
                Flag("injection_suspected", message.id, start, end, is_in_note)
                for start, end in _suspicious_parts(text)
            ]
    return tuple(flags)


def masked(
    transcript: Sequence[TranscriptMessage], flags: Sequence[Flag]
) -> list[TranscriptMessage]:
    """Return the transcript with each flagged character replaced by `MASK`."""
    parts: dict[int, list[Flag]] = {}
    for flag in flags:
        parts.setdefault(flag.message_id, []).append(flag)
    return [
        _masked_message(message, parts[message.id]) if message.id in parts else message
        for message in transcript
    ]


def _masked_message(message: TranscriptMessage, flags: Sequence[Flag]) -> TranscriptMessage:
    said = [flag for flag in flags if not flag.is_in_note]
    noted = [flag for flag in flags if flag.is_in_note]
    correction = message.correction
    if correction is not None and noted:
        correction = correction._replace(note=_masked(correction.note, noted))
    return message._replace(content=_masked(message.content, said), correction=correction)


def _masked(content: str, flags: Sequence[Flag]) -> str:
    characters = list(content)
    for flag in flags:
        characters[flag.start : flag.end] = MASK * len(characters[flag.start : flag.end])
    return "".join(characters)


def _suspicious_parts(content: str) -> Iterator[tuple[int, int]]:
    """Yield which parts to flag: whole sentences; neighbours are one part."""
    stops = [0, *(match.end() for match in _STOP.finditer(content)), len(content)]
    last_start, last_end = 0, 0
    for start, end in sorted(_hits(content)):
        if end <= last_end:
            continue
        start, end = _sentence(content, stops, start, end)
        if last_end and not content[last_end:start].strip():
            last_end = max(last_end, end)
            continue
        if last_end:
            yield last_start, last_end
        last_start, last_end = start, end
    if last_end:
        yield last_start, last_end


def _sentence(content: str, stops: list[int], start: int, end: int) -> tuple[int, int]:
    """Return the sentences that a hit lies in, without white space around them."""
    first = stops[bisect_right(stops, start) - 1]
    last = stops[bisect_left(stops, end)]
    if start - first > FARTHEST:
        first = _after_white_space(content, start - FARTHEST, start)
    if last - end > FARTHEST:
        last = _before_white_space(content, end, end + FARTHEST)
    part = content[first:last]
    return first + len(part) - len(part.lstrip()), last - len(part) + len(part.rstrip())


def _after_white_space(content: str, start: int, end: int) -> int:
    """Return where the first whole word of the part begins, or its start if it is one word."""
    found = _WHITE_SPACE.search(content, start, end)
    return found.end() if found else start


def _before_white_space(content: str, start: int, end: int) -> int:
    """Return where the last whole word of the part ends, or its end if it is one word."""
    words = content[start:end].rsplit(maxsplit=1)
    return end if len(words) < 2 else start + content[start:end].rindex(words[1])


def _hits(content: str) -> Iterator[tuple[int, int]]:
    """Yield what is suspicious, as places in the content."""
    yield from invisible_in(content)
    for match in DELIMITERS.finditer(content):
        yield match.span()
    yield from _orders(content, 0)
    # The end of a line ends some orders, which white space, once folded, does not.
    lines = list(_LINE.finditer(content))
    if len(lines) > 1:
        for line in lines:
            yield from _orders(line[0], line.start())


def _orders(content: str, offset: int) -> Iterator[tuple[int, int]]:
    text = Folded(content, _bare)
    for pattern in (PHRASES, IMPERATIVES, OPENINGS, ENDS):
        for match in pattern.finditer(text.text):
            start, end = text.span(*match.span())
            is_opening = _is_opening(content, start)
            if (
                pattern is PHRASES
                or (pattern is OPENINGS and is_opening)
                or (pattern is ENDS and is_opening and _is_closing(content, end))
                or (pattern is IMPERATIVES and (is_opening or _is_given(text.text, match.start())))
            ):
                yield offset + start, offset + end


def _is_given(text: str, start: int) -> bool:
    """Return whether an imperative is given as an order here, rather than told of."""
    return BEFORE_AN_IMPERATIVE.search(text[max(start - 40, 0) : start]) is not None


def _bare(text: str) -> str:
    """Fold the text, and take off accents and what makes letters of two scripts different."""
    text = folded(text)
    return text if text.isascii() else _MARK.sub("", text).translate(_LOOKALIKES)


def _is_opening(content: str, start: int) -> bool:
    """Return whether a line or a sentence begins here."""
    before = content[max(start - 20, 0) : start].rstrip(_OPENING)
    return not before or before[-1] in "\r\n.!?\u2026\u3002"


def _is_closing(content: str, end: int) -> bool:
    """Return whether the line or the sentence has no further word."""
    behind = content[end : end + 20].splitlines()
    return not behind or behind[0][:1] in (".", "!") or not any(map(str.isalnum, behind[0]))
