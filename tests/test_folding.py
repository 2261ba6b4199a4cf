"""The folding of text: what is the same when compared, and where it is stored."""

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scorecards.folding import Folded, fold, folded, widened

FAMILY = "👨\u200d👩\u200d👧"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

DIFFICULT = (
    *"aße\u0301\u0323\u0345ﬃİıςΣ´¨ \u00a0\n-—“\u200b\u00ad\u200d\ufe0f\u3099ｶﾞ한각ำ½ﷺ",
    *(FAMILY, SCOTLAND, "👍🏽", "🇩🇪", "🇫", "1\ufe0f\u20e3", "\u1112\u1161\u11ab"),
)

# Whatever Unicode has, and what is difficult more often.
texts = st.lists(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from(DIFFICULT),
    ),
    max_size=40,
).map("".join)


def slowly_folded(text: str) -> str:
    """Return the folded text by the definition of Unicode's NFKC_Casefold, for the whole of it."""
    seen = "".join(character for character in text if not is_invisible(character))
    signs = "".join(as_sign(character) for character in seen)
    for _ in range(2):
        signs = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", signs).casefold())
    signs = "".join(as_sign(character) for character in signs)
    return re.sub("-+", "-", " ".join(signs.split()))


def is_invisible(character: str) -> bool:
    code = ord(character)
    return (
        (unicodedata.category(character) == "Cc" and not character.isspace())
        or code in (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0)
        or 0x180B <= code <= 0x180F
        or 0x200B <= code <= 0x200F
        or 0x202A <= code <= 0x202E
        or 0x2060 <= code <= 0x206F
        or 0xFE00 <= code <= 0xFE0F
        or 0xFFF0 <= code <= 0xFFF8
        or 0x1BCA0 <= code <= 0x1BCA3
        or 0x1D173 <= code <= 0x1D17A
        or 0xE0000 <= code <= 0xE0FFF
    )


def as_sign(character: str) -> str:
    if unicodedata.category(character) == "Pd" or character in "−⁃":
        return "-"
    if unicodedata.category(character) in ("Pi", "Pf") or character in (
        "\"'`´ʹʺʻʼʽˊˋˮ‚„′″‴‵‶‷⁗❛❜❝❞⹂「」『』〝〞〟"
    ):
        return "'"
    return "i" if character == "ı" else character


@settings(deadline=None)
@given(texts)
@example("a\u200b\u0302")
@example("a ¨ \u0308b")
@example("-\u00ad- -")
def test_a_text_folds_as_the_definition_says(text: str) -> None:
    assert fold(text) == slowly_folded(text)


def test_every_character_folds_as_the_definition_says() -> None:
    # Beyond are ideographs, which fold to themselves, and what is not assigned.
    for code in (*range(1, 0x20000), *range(0x2F800, 0x2FA20), *range(0xE0000, 0xE1000)):
        character = chr(code)
        if unicodedata.category(character) != "Cs":
            assert " ".join(folded(character).split()) == slowly_folded(character)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Straße", "STRASSE"),
        ("ẞ", "ß"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("café", "cafe\u0301"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("ﬃ", "ffi"),
        ("Ｆｕｌｌ", "full"),
        ("a\u00a0 \n b", "a b"),
        ("a—b", "a--b"),
        ("“it’s”", '"it\'s"'),
        ("«ja»", "„ja“"),
        ("co\u00adoperate", "cooperate"),
        ("wo\u200brd", "word"),
        ("2…", "2..."),
        ("TITANIK", "tıtanık"),
    ],
)
def test_what_a_reader_takes_for_the_same_folds_to_the_same(text: str, same: str) -> None:
    assert fold(text) == fold(same)


@pytest.mark.parametrize(
    ("text", "other"), [("word", "ward"), ("a b", "ab"), ("a-b", "ab"), ("e", "é"), ("a.", "a")]
)
def test_what_a_reader_tells_apart_folds_to_something_else(text: str, other: str) -> None:
    assert fold(text) != fold(other)


def without_accents(text: str) -> str:
    return re.sub("[\u0300-\u036f]", "", folded(text))


@settings(deadline=None)
@given(texts)
@example("a\r\u0e31b")
def test_every_place_of_a_text_that_is_folded_further_can_be_traced(text: str) -> None:
    traced = Folded(text, without_accents)
    assert traced.text == " ".join(re.sub("-+", "-", without_accents(text)).split())
    for place in range(len(traced.text)):
        start, end = traced.span(place, place + 1)
        assert 0 <= start < end <= len(text)


@settings(deadline=None)
@given(texts)
@example("a\r\u0e31b")
def test_every_place_of_a_folded_text_is_traced_to_what_it_comes_from(text: str) -> None:
    traced = Folded(text)
    places = [traced.span(place, place + 1) for place in range(len(traced.text))]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(first <= second for first, second in pairwise(places))
    for character, (start, end) in zip(traced.text, places, strict=True):
        assert character in fold(text[start:end]) or character == " "


@settings(deadline=None)
@given(texts, st.data())
def test_a_part_of_a_folded_text_is_within_what_it_is_traced_to(
    text: str, data: st.DataObject
) -> None:
    traced = Folded(text)
    words = [match.span() for match in re.finditer(r"[^ ](?:.*[^ ])?", traced.text, re.DOTALL)]
    if words:
        start = data.draw(st.integers(words[0][0], words[0][1] - 1))
        end = data.draw(st.integers(start + 1, words[0][1]))
        part = traced.text[start:end].strip()
        first, last = traced.span(start, end)
        assert part in fold(text[first:last])


@pytest.mark.parametrize(
    "whole",
    [
        *("e\u0301", FAMILY, SCOTLAND, "👍🏽", "🇩🇪", "1\ufe0f\u20e3", "\u1112\u1161\u11ab"),
        *("ｶﾞ", "กำ", "❤️\u200d🔥", "नि", "o\u0323\u0301"),
    ],
)
def test_what_is_read_as_one_character_is_never_cut(whole: str) -> None:
    text = f"ab {whole}{whole} cd {whole}"
    for at in range(3, 3 + 2 * len(whole)):
        start, end = widened(text, at, at + 1)
        assert text[start:end] == whole
    traced = Folded(text)
    for place in range(3, traced.text.index(" cd")):
        start, end = traced.span(place, place + 1)
        assert text[start:end] == whole


def test_invisible_characters_at_the_edges_are_left_out_unless_they_are_asked_for() -> None:
    text = "ab\u200b cd\u00ad"
    assert Folded(text).span(0, 5) == (0, 6)
    assert widened(text, 0, 2) == (0, 2)
    assert widened(text, 0, 3) == (0, 3)
