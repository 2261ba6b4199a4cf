"""The file that says which groups applicants belong to: read, and never stored.

It comes from elsewhere, and so in many forms: with commas or semicolons, in several encodings,
under several names for the same column.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple
from unicodedata import normalize

# Names of columns, without case, spaces and signs.
ADDRESS = {"address", "email", "mail", "emailaddress", "applicantemail", "candidateemail"}
SEX = {"sex", "gender", "sexcategory"}
RACE = {
    *("race", "ethnicity", "raceethnicity", "ethnicityrace", "raceorethnicity"),
    *("raceandethnicity", "raceethnicitycategory", "ethnicgroup"),
}

# Words for a group that is not known, likewise. Not NA, by which some mean Native American.
UNKNOWN = {
    *("", "unknown", "none", "notknown", "notavailable", "notapplicable", "notprovided"),
    *("notspecified", "unspecified", "notdisclosed", "undisclosed", "declined", "declinetostate"),
    *("declinedtostate", "declinetoanswer", "declinetoselfidentify", "prefernottosay"),
    *("prefernottoanswer", "idonotwishtoanswer"),
}

DELIMITERS = ",;\t|"

# What a file may begin with to say how it is encoded.
MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class BadGroups(Exception):
    """The reason, in one sentence, why a file of groups cannot be used."""


class Groups(NamedTuple):
    """The groups of those in the file."""

    by_address: dict[str, tuple[str | None, str | None]]
    """Sex and race by the folded address; None where it is unknown."""
    addresses: dict[str, str]
    """Each address as it is written, by the folded one."""
    has_sex: bool
    has_race: bool
    repeated: Sequence[str]
    """The addresses that stand there several times, with the same groups."""


def folded(address: str) -> str:
    """Return an address as it is compared: without case and the space around it."""
    return normalize("NFC", address).strip().casefold()


def read_groups(data: bytes) -> Groups:
    """Return the groups that a file of CSV says.

    Raises:
        BadGroups: It makes no sense, or contradicts itself.

    """
    rows = _rows(_decoded(data))
    _, header = next(rows, (0, []))
    columns = _columns(header)
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    addresses: dict[str, str] = {}
    for line, row in rows:
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
            raise BadGroups(f"Line {line} has more cells than the first line.")
        address, sex, race = (_cell(row, columns.get(name)) for name in ("address", "sex", "race"))
        if not address:
            raise BadGroups(f"Line {line} has no address.")
        addresses.setdefault(folded(address), address)
        found[folded(address)].append((sex, race))
    if not found:
        raise BadGroups("The file has nobody in it.")
    names = [_names(column) for column in zip(*chain.from_iterable(found.values()), strict=True)]
    grouped = {
        address: {(names[0][sex], names[1][race]) for sex, race in entries}
        for address, entries in found.items()
    }
    contradicting = sorted(addresses[one] for one, groups in grouped.items() if len(groups) > 1)
    if contradicting:
        raise BadGroups(
            f"{len(contradicting)} addresses stand there several times, with different groups: "
            + ", ".join(contradicting)
        )
    return Groups(
        {address: next(iter(groups)) for address, groups in grouped.items()},
        addresses,
        "sex" in columns,
        "race" in columns,
        sorted(addresses[one] for one, entries in found.items() if len(entries) > 1),
    )


def _decoded(data: bytes) -> str:
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                raise BadGroups(f"The file is not the {encoding} that it begins as.") from error
    if b"\0" in data:
        raise BadGroups("The file holds NUL: save it as CSV in UTF-8.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        # As spreadsheets write it on Windows; it has a few holes.
        return data.decode("cp1252", errors="replace")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its last line."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    # Spreadsheets may say by what cells are set apart.
    said = re.fullmatch(r"sep=(.)", first.strip())
    if said:
        delimiter = said[1]
        text = text.lstrip("\r\n").partition("\n")[2]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num + bool(said), row
    except csv.Error as error:
        raise BadGroups(f"Line {reader.line_num} is no CSV: {error}.") from error


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Return the places of the columns by their meaning."""
    columns: dict[str, int] = {}
    for place, title in enumerate(header):
        for name, titles in (("address", ADDRESS), ("sex", SEX), ("race", RACE)):
            if _bare(title) in titles:
                if name in columns:
                    raise BadGroups(f"Two columns hold the {name}: leave one of them out.")
                columns[name] = place
    if "address" not in columns:
        raise BadGroups("The first line names no column of addresses, such as email.")
    if len(columns) == 1:
        raise BadGroups("The first line names neither a column sex nor one race_ethnicity.")
    return columns


def _cell(row: Sequence[str], place: int | None) -> str:
    if place is None or place >= len(row):
        return ""
    return " ".join(normalize("NFC", row[place]).split())


def _names(cells: Sequence[str]) -> dict[str, str | None]:
    """Return the name of the group for each way in which it is written; None for an unknown one.

    Of several, which differ in case alone, the most common is the name, and then the first.
    """
    common: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        common[cell.casefold()][cell] += 1
    return {
        cell: None
        if _bare(cell) in UNKNOWN or cell.casefold() == "n/a"
        else min(common[cell.casefold()], key=lambda one: (-common[one.casefold()][one], one))
        for cell in cells
    }


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
