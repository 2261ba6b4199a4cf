"""The file of groups: in all the forms in which it comes, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.impact.groups import BadGroups, folded, read_groups

PLAIN = "email,sex,race_ethnicity\nana@example.com,Female,Asian\nbo@example.com,Male,\n"
EXPECTED = {"ana@example.com": ("Female", "Asian"), "bo@example.com": ("Male", None)}


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        f"sep=;\n{PLAIN.replace(',', ';')}".encode(),
        f"\n\n{PLAIN}\n , ,\n".encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace("ana@", "  ANA@").replace("Asian", '"Asian"').encode(),
        PLAIN.replace("Female", " Female  ").encode(),
        PLAIN.replace("Male,\n", "Male\n").encode(),
    ],
)
def test_a_file_is_read_in_every_form(data: bytes) -> None:
    groups = read_groups(data)
    assert groups.by_address == EXPECTED
    assert (groups.has_sex, groups.has_race, groups.repeated) == (True, True, [])


@pytest.mark.parametrize("address", ["email", "E-Mail", "e_mail", " Email address ", "ADDRESS"])
@pytest.mark.parametrize("sex", ["Sex", "gender", "GENDER", "sex category"])
@pytest.mark.parametrize("race", ["race", "Ethnicity", "Race/Ethnicity", "race or ethnicity"])
def test_a_column_may_have_several_names(address: str, sex: str, race: str) -> None:
    header = f"{race},name,{sex},{address}"
    groups = read_groups(f"{header}\nAsian,Ana,Female,ana@example.com\n".encode())
    assert groups.by_address == {"ana@example.com": ("Female", "Asian")}


@pytest.mark.parametrize(
    "word",
    ["", " ", "unknown", "Unknown", "N/A", "n/a", "Prefer not to say", "decline to state", "-"],
)
def test_a_group_may_be_unknown(word: str) -> None:
    groups = read_groups(f"email,sex\nana@example.com,{word}\nbo@example.com,Male\n".encode())
    assert groups.by_address == {"ana@example.com": (None, None), "bo@example.com": ("Male", None)}
    assert not groups.has_race


def test_an_abbreviation_is_no_unknown_group() -> None:
    groups = read_groups(b"email,race\nana@example.com,NA\n")
    assert groups.by_address == {"ana@example.com": (None, "NA")}


def test_groups_that_differ_in_case_alone_are_one() -> None:
    rows = ["a,Female", "b,female", "c,FEMALE", "d,female", "e,Fe  male"]
    groups = read_groups("\n".join(["email,sex", *rows]).encode())
    assert {sex for sex, _ in groups.by_address.values()} == {"female", "Fe male"}


def test_a_spreadsheet_of_windows_is_read() -> None:
    groups = read_groups("email,sex\nana@example.com,Männlich\n".encode("cp1252"))
    assert groups.by_address == {"ana@example.com": ("Männlich", None)}


def test_an_address_that_is_there_twice_with_the_same_groups_counts_once() -> None:
    groups = read_groups(f"{PLAIN}Ana@Example.com,female,asian\n".encode())
    assert groups.by_address == EXPECTED
    assert groups.repeated == ["ana@example.com"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no column of addresses"),
        ("\n\n", "names no column of addresses"),
        ("name,sex\nAna,Female\n", "names no column of addresses"),
        ("email,name\na,Ana\n", "names neither a column sex nor one race_ethnicity"),
        ("email,sex,gender\na,b,c\n", "Two columns hold the sex"),
        ("email,race,ethnicity\na,b,c\n", "Two columns hold the race"),
        ("email,sex\n", "has nobody in it"),
        ("email,sex\n,Female\n", "Line 2 has no address"),
        ("email,sex\na,b\n,Female\n", "Line 3 has no address"),
        ("email,sex\na,b,c\n", "Line 2 has more cells"),
        (f"{PLAIN}ANA@example.com,Male,Asian\n", "with different groups: ana@example.com"),
        (f"{PLAIN}ana@example.com,,Asian\n", "with different groups: ana@example.com"),
        ("email,sex\na\0,b\n", "holds NUL"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(BadGroups, match=sentence):
        read_groups(text.encode())


def test_a_file_that_is_not_what_it_begins_as_is_refused() -> None:
    for data in (b"\xef\xbb\xbf\xff", b"\xff\xfea"):
        with pytest.raises(BadGroups, match="that it begins as"):
            read_groups(data)


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes) -> None:
    try:
        read_groups(b"email,sex\n" + data)
    except BadGroups as error:
        assert str(error)


def test_addresses_are_compared_without_case_and_space() -> None:
    assert folded(" Ana@Example.COM\n") == folded("ana@example.com")
    assert folded("a\u0301@x") == folded("\u00e1@x")
    assert folded("ana+a@x") != folded("ana@x")
