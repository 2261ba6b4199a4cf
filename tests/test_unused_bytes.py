"""Unused bytes of SQLite files: all are found, and no other byte is changed."""

import re
from contextlib import closing
from io import FileIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.sqlite.driver import sqlite3
from storage.sqlite.unused_bytes import FileTooLarge, Pages

SCHEMA = """
    CREATE TABLE words (id INTEGER PRIMARY KEY, name TEXT, text TEXT, number REAL);
    CREATE INDEX words_name ON words (name, text);
    CREATE TABLE pairs (name TEXT, text TEXT, PRIMARY KEY (name)) WITHOUT ROWID;
"""

Row = tuple[int, int]
"""The number of a row, and the characters of its text."""


def text_of(number: int, length: int) -> str:
    """A text in which every piece of eight characters tells whose it is."""
    word = f"<{number:05d}>"
    return (word * (length // len(word) + 1))[: max(length, len(word))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words.db"


def connected(path: Path, page_size: int = 4096, auto_vacuum: str = "NONE") -> sqlite3.Connection:
    connection: sqlite3.Connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size = {page_size}")
    connection.execute(f"PRAGMA auto_vacuum = {auto_vacuum}")
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def put(connection: sqlite3.Connection, number: int, length: int) -> None:
    name, text = f"n{text_of(number, 20)}", text_of(number, length)
    row = (number, name, text, number / 7)
    connection.execute("INSERT OR REPLACE INTO words VALUES (?, ?, ?, ?)", row)
    connection.execute("INSERT OR REPLACE INTO pairs VALUES (?, ?)", (name, text))


def remove(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM words WHERE id = ?", (number,))
    connection.execute("DELETE FROM pairs WHERE name = ?", (f"n{text_of(number, 20)}",))


def rows(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
            for table in ("words", "pairs")
        ]


def wipe(path: Path) -> int:
    with FileIO(path, "r+") as file:
        return Pages(file).wipe(thoroughly=True)


def left_of(path: Path, numbers: set[int]) -> set[int]:
    return numbers & set(map(int, re.findall(rb"<(\d{5})>", path.read_bytes())))


LENGTHS = (5, 40, 150, 400, 900, 3000, 5000, 20_000)


@pytest.mark.parametrize("auto_vacuum", ["NONE", "INCREMENTAL", "FULL"])
@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_nothing_is_left_of_rows_that_were_deleted_or_moved(
    path: Path, page_size: int, auto_vacuum: str
) -> None:
    random = Random(7)
    numbers = list(range(600))
    random.shuffle(numbers)
    with closing(connected(path, page_size, auto_vacuum)) as connection:
        connection.executescript(SCHEMA)
        connection.execute("BEGIN")
        for number in numbers:
            put(connection, number, random.choice(LENGTHS))
        connection.execute("COMMIT")
        # Shorter texts in the place of longer ones, and pages that become free.
        changed = set(random.sample(numbers, 120))
        gone = set(random.sample(numbers, 200))
        connection.execute("BEGIN")
        for number in changed - gone:
            connection.execute(
                "UPDATE words SET text = ? WHERE id = ?", (text_of(90_000 + number, 60), number)
            )
        for number in gone:
            remove(connection, number)
        connection.execute("COMMIT")
        # Some of what is free is used again.
        connection.execute("BEGIN")
        for number in range(2000, 2060):
            put(connection, number, random.choice(LENGTHS))
        connection.execute("COMMIT")
    before = rows(path)
    assert left_of(path, gone)

    assert wipe(path) > 0
    assert rows(path) == before
    assert left_of(path, gone) == set()
    assert wipe(path) == 0


steps = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from((None, *LENGTHS))), min_size=1, max_size=150
)


@settings(deadline=None, max_examples=40)
@given(steps=steps, page_size=st.sampled_from([512, 4096]), at_once=st.integers(1, 50))
def test_whatever_was_done_before(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[int, int | None]],
    page_size: int,
    at_once: int,
) -> None:
    path = tmp_path_factory.mktemp("words") / "words.db"
    live: dict[int, int] = {}
    with closing(connected(path, page_size)) as connection:
        connection.executescript(SCHEMA)
        for begin in range(0, len(steps), at_once):
            connection.execute("BEGIN")
            for place, (slot, length) in enumerate(steps[begin : begin + at_once], begin):
                if slot in live:
                    remove(connection, live.pop(slot))
                if length is not None:
                    live[slot] = 100 * place + slot
                    put(connection, live[slot], length)
            connection.execute("COMMIT")
    before = rows(path)
    wipe(path)
    assert rows(path) == before
    dead = {100 * place + slot for place, (slot, length) in enumerate(steps) if length}
    assert left_of(path, dead - set(live.values())) == set()
    assert wipe(path) == 0


def test_only_the_pages_that_are_named_are_wiped(path: Path) -> None:
    with closing(connected(path)) as connection:
        connection.executescript(SCHEMA)
        for number in range(300):
            put(connection, number, 900)
        for number in range(0, 300, 2):
            remove(connection, number)
    gone = set(range(0, 300, 2))
    pages = path.stat().st_size // 4096
    with FileIO(path, "r+") as file:
        Pages(file).wipe_pages(range(1, pages // 2))
    some = left_of(path, gone)
    assert some
    with FileIO(path, "r+") as file:
        Pages(file).wipe_pages(range(pages // 2, pages + 10))
    assert left_of(path, gone) == set()
    rows(path)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", bytes(100), b"\x0d" * 9000])
def test_a_file_that_is_none_or_is_damaged_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert wipe(path) == 0
    assert path.read_bytes() == content


def test_a_damaged_page_ends_nothing_and_is_left_as_it_is(path: Path) -> None:
    with closing(connected(path)) as connection:
        connection.executescript(SCHEMA)
        for number in range(300):
            put(connection, number, 300)
    whole = path.read_bytes()
    random = Random(3)
    for _ in range(200):
        content = bytearray(whole)
        page = 4096 * random.randrange(1, len(whole) // 4096)
        content[page] = random.choice((2, 5, 10, 13))
        content[page + 1 : page + 12] = random.randbytes(11)
        path.write_bytes(content)
        wipe(path)
        after = path.read_bytes()
        # What is behind the header and in front of the first row may be taken for unused.
        assert after[:page] == content[:page] or wipe(path) == 0
        assert len(after) == len(content)


def test_a_file_whose_pages_cannot_be_told_apart_is_refused(path: Path) -> None:
    with closing(connected(path, 512)) as connection:
        connection.executescript(SCHEMA)
    with FileIO(path, "r+") as file:
        file.truncate(512 * 0x02000000)  # without a block on the disk
        with pytest.raises(FileTooLarge):
            Pages(file)
