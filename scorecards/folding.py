"""Text as it is compared: without the differences that a reader does not see or a model drops.

Two texts are the same here if they differ only in case, in white space, in the kind of their dashes
and quotation marks, in compatibility forms (ligatures, full-width letters, composed or decomposed
accents), or in invisible characters. This is Unicode's NFKC_Casefold, decomposed, and in addition
white space, dashes and quotation marks.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache, cached_property

FORMAT_CHARACTERS = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
"""Control characters, zero-width ones, fillers, as ranges of a regular expression."""

_INVISIBLE = (
    FORMAT_CHARACTERS + "\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0000-\U000e0fff"
)
"""Unicode's Default_Ignorable_Code_Point, and the control characters that are no white space."""


_ALL = "".join(map(chr, range(0x20000)))
"""Where the characters of the categories below are, but for some that are invisible."""


def _characters_of(*categories: str) -> str:
    return "".join(character for character in _ALL if unicodedata.category(character) in categories)


MARKS = re.escape(_characters_of("Mn", "Mc", "Me"))
"""Combining characters, as the inside of a class of a regular expression."""

_EXTENDING = (
    MARKS
    + "\U0001f3fb-\U0001f3ff"  # skin tones
    + "\uff9e\uff9f"  # the voicing of half-width kana
    + "\u0e33\u0eb3"  # the vowel am of Thai and Lao
    + "\u1161-\u11ff\ud7b0-\ud7fb"  # vowels and finals of a decomposed Hangul syllable
)

_REGIONAL = "\U0001f1e6-\U0001f1ff"  # two of these are a flag
_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2934\u2935"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)

# What a reader takes for one character: nearly Unicode's extended grapheme cluster, except that
# whatever is invisible belongs to the character before it.
_CLUSTER = re.compile(
    f"(?:[{_REGIONAL}]{{2}}|.)(?:[{_EXTENDING}{_INVISIBLE}]|(?<=\u200d)[{_EMOJI}])*", re.DOTALL
)

# Such a character may lie within a cluster; all others begin one.
_INNER = re.compile(f"[{_EXTENDING}{_INVISIBLE}{_REGIONAL}]|(?<=\u200d)[{_EMOJI}]")

# What is invisible and no part of the character before it, as a variation selector is.
_TRAILING = "".join(re.findall(f"[{FORMAT_CHARACTERS}]", _ALL))

# A mark after white space is shown upon it, so the two are not parted.
_WORD = re.compile(rf"(?:\s(?=[{_EXTENDING}]))?\S+")

_UNSEEN = re.compile(f"[{_INVISIBLE}]+")
_DASHES_IN_A_ROW = re.compile(r"-{2,}")

_DASHES = _characters_of("Pd") + "\u2043\u2212"
_QUOTATION_MARKS = (
    _characters_of("Pi", "Pf")
    + "\"'`\u00b4\u02b9\u02ba\u02bb\u02bc\u02bd\u02ca\u02cb\u02ee\u201a\u201e"
    + "\u2032\u2033\u2034\u2035\u2036\u2037\u2057\u275b\u275c\u275d\u275e\u2e42"
    + "\u300c\u300d\u300e\u300f\u301d\u301e\u301f"
)
_SIGNS = str.maketrans(
    {
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys(_QUOTATION_MARKS, "'"),
        "\u0131": "i",  # the dotless i, which has the capital of the dotted one
    }
)


def fold(text: str) -> str:
    """Return the text as it is compared."""
    return Folded(text).text


def folded(text: str) -> str:
    """Fold every character for itself: white space stays, and so do runs of dashes."""
    text = _UNSEEN.sub("", text)
    if text.isascii():
        return text.lower().translate(_SIGNS)
    # Signs go first, as NFKD takes some of them apart, and once more, as it makes others.
    text = unicodedata.normalize("NFD", text.translate(_SIGNS)).casefold()
    text = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKD", text).translate(_SIGNS)


def _without_runs(text: str) -> str:
    """Make one of each run of dashes, and one blank of each run of white space within the text."""
    return " ".join(_DASHES_IN_A_ROW.sub("-", text).split())


class Folded:
    """A text as it is compared, each place of which can be traced to the text as it is stored.

    `folding` says what becomes of the characters, and must make of a text what it makes of its
    parts one by one. Runs of white space and of dashes become one.
    """

    def __init__(self, stored: str, folding: Callable[[str], str] = folded) -> None:
        self._stored = stored
        self._folding = folding
        self.text = _without_runs(folding(stored))
        self._traced = -1
        self._places: list[tuple[int, int]] = []

    @cached_property
    def _words(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Where words start in the folded text, and where they are stored."""
        starts, places = [], []
        length = 0
        for match in _WORD.finditer(self._stored):
            if word := _without_runs(self._folding(match[0])):
                starts.append(length)
                places.append(match.span())
                length += len(word) + 1
        return starts, places

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return which part of the stored text `text[start:end]` comes from.

        It is at least one character long, and widened where it would cut what a reader takes for
        one character. It neither begins nor ends with the white space between two words.
        """
        if self.text[start] == " " and start + 1 < end:
            start += 1
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, position: int) -> tuple[int, int]:
        starts, places = self._words
        word = bisect_right(starts, position) - 1
        if word != self._traced:
            self._traced = word
            self._places = list(self._places_of(*places[word]))
        within = position - starts[word]
        is_blank_behind = within == len(self._places)
        return self._places[within - is_blank_behind]

    def _places_of(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield for each folded character of the word where its cluster is stored."""
        folding = cache(self._folding)
        last = " "
        for cluster in _CLUSTER.finditer(self._stored, start, end):
            place = cluster.start(), _end_of(cluster)
            for character in folding(cluster[0]):
                sign = " " if character.isspace() else character
                if sign != last or sign not in " -":
                    yield place
                last = sign


def widened(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the part of the text, widened where it cuts what a reader takes for one character."""
    return _cluster_at(text, start).start(), max(end, _end_of(_cluster_at(text, end - 1)))


def _cluster_at(text: str, position: int) -> re.Match[str]:
    start = position
    while start and _INNER.match(text, start):
        start -= 1
    return next(cluster for cluster in _CLUSTER.finditer(text, start) if cluster.end() > position)


def _end_of(cluster: re.Match[str]) -> int:
    """Return where the cluster ends to the eye: without what is invisible at its end."""
    return cluster.start() + len(cluster[0].rstrip(_TRAILING))
