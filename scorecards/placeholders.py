"""Placeholders for what identifies an applicant, in a transcript that goes to a model.

A placeholder such as `[name 1]` stands for one spelling, so that putting the spelling back gives
the stored text again, wherever a quote begins and ends.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from db import InterviewKey

Placeholders = Mapping[str, str]
"""The words that each placeholder stands for, as they are in the stored text."""

# Fewest letters of a part of a name that is replaced by itself, and of a name of one word.
MIN_PART, MIN_NAME = 3, 2

# Fewest characters of an access key, or of an e-mail address before its @, that is replaced.
MIN_DISTINCTIVE = 5

# The word in a placeholder, by what is found.
KINDS = {
    "address": "address",
    "local_part": "address",
    "key": "key",
    "name": "name",
    "word": "name",
}

ACCENTS = re.compile("[\u0300-\u036f]")
APOSTROPHES = "`\u00b4\u2018\u2019\u02bc"
DASHES = "\u2010\u2011\u2012\u2013\u2014"
MARKS = str.maketrans(dict.fromkeys(APOSTROPHES, "'") | dict.fromkeys(DASHES, "-"))


def replaced(texts: Sequence[str], interview: InterviewKey) -> tuple[list[str], Placeholders]:
    """Return the texts with placeholders for the applicant's name, e-mail address and access key.

    Upper and lower case, accents, and kinds of apostrophes and dashes make no difference. These are
    replaced, where they are whole words:

    - The name, and each of its words of three letters or more. A single word is replaced only where
      it does not begin with a small letter, as many names (Will, Grace) are words too. In Chinese,
      Japanese and Korean, where words are not set apart, it is replaced wherever it is.
    - The e-mail address, and the part before its @ if that is no mere word.
    - The access key, if it holds a digit: others, such as `nurse`, are words.
    """
    pattern = re.compile("|".join(_alternatives(interview)))
    spellings: dict[str, str] = {}
    results = []
    for text in texts:
        pieces: list[str] = []
        rest = 0
        for start, end, kind in _found(pattern, text):
            spelling = text[start:end]
            if spelling not in spellings:
                spellings[spelling] = _unused(kind, spellings, texts)
            pieces += text[rest:start], spellings[spelling]
            rest = end
        results.append("".join([*pieces, text[rest:]]) if pieces else text)
    return results, {placeholder: spelling for spelling, placeholder in spellings.items()}


def restored(text: str, placeholders: Placeholders) -> str:
    """Return the text with what its placeholders stand for."""
    if not placeholders:
        return text
    pattern = "|".join(map(re.escape, placeholders))
    return re.sub(pattern, lambda found: placeholders[found.group()], text)


def _alternatives(interview: InterviewKey) -> Iterator[str]:
    """Yield the patterns of folded text; the group's name is the kind of the placeholder."""
    access_key, name, email = map(_folded, interview)
    words = [re.findall(r"\w+", word) for word in name.split()]
    parts = [part for word in words for part in word]

    yield f"(?P<address>{_whole(re.escape(email))})"
    local_part = email.partition("@")[0]
    holds_name = any(len(part) >= MIN_PART and part in local_part for part in parts)
    if _is_distinctive(local_part) or (holds_name and local_part not in parts):
        yield f"(?P<local_part>{_whole(re.escape(local_part))})"
    if _is_distinctive(access_key) and any(map(str.isdigit, access_key)):
        yield f"(?P<key>{_whole(re.escape(access_key))})"

    several = [parts, *words]  # the whole name first, which begins with its parts
    longer = [r"[\s.,'-]{1,3}".join(map(re.escape, part)) for part in several if len(part) > 1]
    if longer:
        yield f"(?P<name>{'|'.join(map(_whole, longer))})"
    least = MIN_PART if len(parts) > 1 else MIN_NAME
    single = [
        re.escape(part) if _is_unspaced(part) else _whole(re.escape(part))
        for part in dict.fromkeys(parts)
        if sum(map(str.isalpha, part)) >= (MIN_NAME if _is_unspaced(part) else least)
    ]
    if single:
        yield f"(?P<word>{'|'.join(single)})"


def _found(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each place of the text that is to be replaced."""
    if not pattern.search(_folded(text)):
        return
    folded, places = [], []
    for place, character in enumerate(text):
        part = _folded(character)
        folded.append(part)
        places += [place] * len(part)
    places.append(len(text))
    for match in pattern.finditer("".join(folded)):
        start, end = places[match.start()], places[match.end()]
        kind = match.lastgroup
        if kind != "word" or not text[start].islower():
            yield (
                start,
                end,
                {"address": "address", "local_part": "address", "key": "key"}.get(
                    kind or "", "name"
                ),
            )


def _folded(text: str) -> str:
    """Return the text without what two spellings of a name differ by."""
    if not text.isascii():
        text = ACCENTS.sub("", unicodedata.normalize("NFKD", text))
        text = unicodedata.normalize("NFC", text)
    return text.casefold().translate(MARKS)


def _whole(pattern: str) -> str:
    return rf"(?<!\w)(?:{pattern})(?!\w)"


def _is_unspaced(part: str) -> bool:
    """Return whether the part is of a script that does not set words apart."""
    return any(unicodedata.east_asian_width(character) in "WF" for character in part)


def _is_distinctive(text: str) -> bool:
    return len(text) >= MIN_DISTINCTIVE and not text.isalpha()


def _unused(kind: str, spellings: Mapping[str, str], texts: Sequence[str]) -> str:
    """Return a new placeholder, which no text holds by itself."""
    number = 1
    while True:
        placeholder = f"[{kind} {number}]"
        if placeholder not in spellings.values() and not any(placeholder in t for t in texts):
            return placeholder
        number += 1
