"""Characters that hide text or turn its order around, where the script gives no reason for them.

Emoji are joined by a zero-width joiner, Persian and the scripts of India are written with joiners
and non-joiners, Thai and Japanese may be broken at a zero-width space, text that runs from right to
left holds marks of direction, and a telephone number that was copied may bring an embedding along.
None of that is suspicious.
"""

import re
import unicodedata
from collections.abc import Iterator

_HIDDEN = re.compile(
    # The flags of England, Scotland and Wales are written with tags.
    r"(?P<flag>\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f)"
    r"|(?P<hiding>[\U000e0000-\U000e007f]+"
    r"|[\u202d\u202e]"
    # One selector varies one character; many in a row carry a text of their own.
    r"|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,})"
    r"|(?P<turning>[\u202b\u2067])"
    r"|(?P<direction>[\u061c\u200e\u200f\u202a\u202c\u2066\u2068\u2069])"
    r"|(?P<joiner>[\u200c\u200d])"
    r"|(?P<width>[\u180e\u200b\u2060-\u2064\ufeff])"
    r"|(?P<filler>[\u034f\u115f\u1160\u3164\uffa0])"
)


def invisible_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where such characters are."""
    for match in _HIDDEN.finditer(text):
        if _is_suspicious(text, match):
            yield match.span()


def _is_suspicious(text: str, match: re.Match[str]) -> bool:
    neighbours = _neighbour(text, match.start() - 1, -1), _neighbour(text, match.end(), 1)
    match match.lastgroup:
        case "hiding":
            return True
        case "turning":
            return not any(map(_runs_leftward, neighbours))
        case "direction":
            return all("a" <= neighbour.lower() <= "z" for neighbour in neighbours)
        case "joiner":
            return not (any(map(_is_joined, neighbours)) or all(map(_is_symbol, neighbours)))
        case "width":
            return match.start() > 0 and not any(map(_is_unspaced, neighbours))
        case "filler":
            return not any(map(_is_joined, neighbours))
    return False


def _neighbour(text: str, position: int, step: int) -> str:
    """Return the next visible character in that direction, or a blank if there is none nearby."""
    for place in range(position, position + 8 * step, step):
        if not 0 <= place < len(text):
            break
        if unicodedata.category(text[place]) not in ("Mn", "Me", "Cf"):
            return text[place]
    return " "


def _runs_leftward(character: str) -> bool:
    return unicodedata.bidirectional(character) in ("R", "AL")


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in ("So", "Sk", "Sm") or character >= "\U0001f000"


# Arabic and what is like it, the scripts of India and South-East Asia, Mongolian; Hangul.
_JOINED = re.compile(
    "[\u0590-\u11ff\u1700-\u1cff\u3130-\u318f\ua800-\uabff\uac00-\ud7ff\ufb1d-\ufdff"
    "\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001e95f]"
)

# Thai, Lao, Tibetan, Burmese, Khmer and their neighbours; Chinese, Japanese, Korean.
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u19ff\u1a20-\u1aaf\u3000-\u9fff\uac00-\ud7ff\uf900-\ufaff"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)


def _is_joined(character: str) -> bool:
    return _JOINED.match(character) is not None


def _is_unspaced(character: str) -> bool:
    return _UNSPACED.match(character) is not None
