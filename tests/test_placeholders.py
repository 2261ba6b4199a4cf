"""What identifies an applicant is kept from a model, and every quote can still be restored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import InterviewKey
from scorecards.placeholders import replaced, restored


def hidden(name: str, text: str, email: str = "a@x.example", access_key: str = "nurse") -> str:
    """The text with placeholders, once it has been seen that it can be restored."""
    (result,), placeholders = replaced([text], InterviewKey(access_key, name, email))
    assert restored(result, placeholders) == text
    return result


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("Ana María", "I am Ana María.", "I am [name 1]."),
        ("Ana María", "Hello ana maría, hello ANA!", "Hello [name 1], hello [name 2]!"),
        ("Ana María", "Ana's banana", "[name 1]'s banana"),
        # Accents may be left out, or be characters of their own.
        ("Ana María", "Maria, Mari\u0301a", "[name 1], [name 2]"),
        ("Ana Mari\u0301a", "María", "[name 1]"),
        ("Zoë Müller", "ZOE MULLER", "[name 1]"),
        # Names that are words.
        ("Will Grace", "Will will do it with grace.", "[name 1] will do it with grace."),
        ("An", "An ant ran an hour.", "[name 1] ant ran an hour."),
        ("Jo Li", "Jo did; Li did; Jo Li did", "Jo did; Li did; [name 1] did"),
        ("Mark O'Brien", "o’brien, O'Brien's mark", "[name 1], [name 2]'s mark"),
        ("Jean-Luc Picard", "Jean Luc; jean\u2010luc; Luc", "[name 1]; [name 2]; [name 3]"),
        ("Anna van der Berg", "Van Berg, the van", "[name 1] [name 2], the van"),
        # Scripts without capitals, and without spaces.
        ("李明", "我叫李明。", "我叫[name 1]。"),
        ("김민수", "저는 김민수입니다", "저는 [name 1]입니다"),
        ("דנה", "אני דנה", "אני [name 1]"),
        # Nothing that could be found by itself.
        ("J", "J and I", "J and I"),
        ("(.*)", "all (.*) of it", "all (.*) of it"),
        ("Straße Ümit", "STRASSE", "[name 1]"),
    ],
)
def test_names_are_replaced_as_whole_words(name: str, text: str, result: str) -> None:
    assert hidden(name, text) == result


@pytest.mark.parametrize(
    ("email", "text", "result"),
    [
        ("a@x.example", "A@X.example, or b@x.example", "[address 1], or b@x.example"),
        ("a.b-90@x.example", "I am a.b-90 there", "I am [address 1] there"),
        ("anamaria@x.example", "call me anamaria", "call me [address 1]"),
        ("nurse@x.example", "I am a nurse", "I am a nurse"),
        ("ana@x.example", "an ana", "an ana"),
    ],
)
def test_addresses_are_replaced_and_mere_words_are_not(email: str, text: str, result: str) -> None:
    assert hidden("Ana María", text, email) == result


@pytest.mark.parametrize(
    ("access_key", "text", "result"),
    [
        ("job-1", "for job-1, not job-12", "for [key 1], not job-12"),
        ("nurse", "I am a nurse", "I am a nurse"),
        ("front-end", "I do front-end", "I do front-end"),
        ("b2", "I have B2 in German", "I have B2 in German"),
    ],
)
def test_access_keys_are_replaced_and_mere_words_are_not(
    access_key: str, text: str, result: str
) -> None:
    assert hidden("Ana María", text, access_key=access_key) == result


def test_one_spelling_has_one_placeholder_in_all_texts() -> None:
    texts, placeholders = replaced(["Ana?", "ANA", "Ana"], InterviewKey("k", "Ana", "a@x.example"))
    assert texts == ["[name 1]?", "[name 2]", "[name 1]"]
    assert placeholders == {"[name 1]": "Ana", "[name 2]": "ANA"}


def test_a_placeholder_that_somebody_wrote_stands_for_itself() -> None:
    texts, placeholders = replaced(
        ["[name 1] and Ana", "[name 2]"], InterviewKey("k", "Ana", "a@x.example")
    )
    assert texts == ["[name 1] and [name 3]", "[name 2]"]
    assert placeholders == {"[name 3]": "Ana"}


names = st.text(min_size=1, max_size=12) | st.sampled_from(["Ana María", "Will", "O'Brien", "An"])


@given(name=names, before=st.text(), after=st.text())
def test_whatever_the_name_and_the_text_they_can_be_restored(
    name: str, before: str, after: str
) -> None:
    hidden(name, f"{before} {name} {after}")


@given(name=st.sampled_from(["Ana María", "Kofi Mensah", "Zoë", "Li Na"]), text=st.text())
def test_the_whole_name_between_spaces_is_never_left(name: str, text: str) -> None:
    assert f" {name} " not in hidden(name, f"{text} {name} {text}")
