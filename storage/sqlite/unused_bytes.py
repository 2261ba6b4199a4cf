"""The bytes of an SQLite file that belong to no row, and overwriting them with zeros.

With `secure_delete` SQLite overwrites what it deletes where it lies. But whenever it moves rows
from page to page, as trees grow and shrink, copies stay behind in the gap between a page's header
and its content: of rows in tables, of names in indexes. Files from before the service turned
`secure_delete` on also have old words in free pages, in the free blocks of pages, and behind the
ends of long texts. All of these are found here by the file's format
(https://sqlite.org/fileformat2.html), and nothing else is ever written. What stays are fragments of
three bytes at most between two rows.

Knows nothing of locks: `storage/sqlite/wiping.py` sees to it that nobody else writes to the file.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from io import FileIO
from struct import Struct
from typing import NamedTuple

# The kinds of pages that trees consist of, by their first byte.
INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13

# Bytes of a page's header, behind which come the places of its rows.
HEADER_SIZES = {INDEX_INTERIOR: 12, TABLE_INTERIOR: 12, INDEX_LEAF: 8, TABLE_LEAF: 8}

# Bytes of the file's own header, which come before the first page's.
FILE_HEADER = 100

# SQLite locks bytes from here on, and uses their page for nothing else.
LOCKED_BYTE = 0x40000000

# From so many pages on (128 GB, at 4 KB each) the first byte of a page need not tell its kind.
TOO_MANY_PAGES = 0x02000000

# Bytes that are read at once.
CHUNK = 4_194_304

_number_16 = Struct(">H").unpack_from
_number_32 = Struct(">I").unpack_from
_block = Struct(">HH").unpack_from


class FileTooLarge(Exception):
    """The file has too many pages for them to be told apart."""


class Overflow(NamedTuple):
    """The part of a row that is on pages of its own."""

    first_page: int
    length: int


class Pages:
    """The pages of a file to which nobody else writes."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        header = self._read(0, FILE_HEADER).ljust(FILE_HEADER, b"\0")
        (size,) = _number_16(header, 16)
        self._size = 65536 if size == 1 else size or 4096
        self._count = file.seek(0, 2) // self._size
        if self._count >= TOO_MANY_PAGES:
            raise FileTooLarge
        self._usable = self._size - header[20]
        self._skipped = self._without_rows(has_page_maps=header[52:56] != bytes(4))
        (self._first_trunk,) = _number_32(header, 32)
        self._zeros = memoryview(bytes(self._size))
        # Of a row that is longer only so many bytes, or at least the last number, are on its page.
        self._most_in_table = self._usable - 35
        self._most_in_index = (self._usable - 12) * 64 // 255 - 23
        self._least = (self._usable - 12) * 32 // 255 - 23

    def wipe(self, *, thoroughly: bool) -> int:
        """Overwrite every unused byte that is not zero, and return in how many places.

        Args:
            thoroughly: Whether to look behind the ends of long texts. There is something only if
                the file was once written without `secure_delete`, and to look takes much longer.

        """
        # Free pages first, as they may still look like pages of a tree.
        wiped = self._wipe_free_pages(None)
        at_once = max(1, CHUNK // self._size)
        # With room behind the last page for places that point there; such a page is damaged.
        buffer = bytearray(at_once * self._size + 2 * 65536)
        for first in range(1, self._count + 1, at_once):
            self._file.seek((first - 1) * self._size)
            length = self._file.readinto(memoryview(buffer)[: at_once * self._size]) or 0
            length -= length % self._size
            for place in self._suspects(buffer, length, first, thoroughly=thoroughly):
                page = bytes(buffer[place : place + self._size])
                wiped += self._wipe_page(first + place // self._size, page)
        return wiped

    def wipe_pages(self, numbers: Collection[int]) -> int:
        """Do the same in some pages only."""
        wiped = self._wipe_free_pages(numbers)
        for number in numbers:
            if 0 < number <= self._count:
                wiped += self._wipe_page(number, self._page(number))
        return wiped

    def _suspects(
        self, buffer: bytearray, length: int, first: int, *, thoroughly: bool
    ) -> Iterator[int]:
        """Yield the place of each page that is to be looked at closely; the first one of all is.

        A page is passed if it has no free block and zeros in its gap, and no row has a part
        elsewhere. Here the time goes: a million messages are on some 50,000 pages.
        """
        size, usable, zeros = self._size, self._usable, self._zeros
        # A row begins with its length, in an index behind a page number. Of a length that may
        # be too long, the first byte is so great, or the second one says that a third follows.
        in_table, in_index = _first_byte(self._most_in_table), _first_byte(self._most_in_index)
        longest = {}
        if thoroughly:
            longest = {TABLE_LEAF: (0, in_table), INDEX_LEAF: (0, in_index)}
            longest[INDEX_INTERIOR] = (4, in_index)
        is_at = buffer.startswith
        header_bytes = (buffer[byte:length:size] for byte in (0, 1, 2, 3, 4, 5, 6))
        for place, (kind, block_1, block_2, cells_1, cells_2, begin_1, begin_2) in zip(
            range(0, length, size), zip(*header_bytes, strict=True), strict=True
        ):
            if kind not in HEADER_SIZES:
                if first == 1 and place == 0:
                    yield place
                continue
            cells = cells_1 << 8 | cells_2
            begin = (begin_1 << 8 | begin_2) or 65536
            gap = HEADER_SIZES[kind] + 2 * cells
            if (
                block_1
                or block_2
                or not gap <= begin <= usable
                or not is_at(zeros[: begin - gap], place + gap)
            ):
                yield place
            elif kind in longest and cells:
                before, limit = longest[kind]
                before += place
                found = _places(cells)(buffer, place + HEADER_SIZES[kind])
                if True in [
                    buffer[before + at] > 0x7F
                    and (buffer[before + at] >= limit or buffer[before + at + 1] > 0x7F)
                    for at in found
                ]:
                    yield place

    def _wipe_page(self, number: int, page: bytes) -> int:
        """Overwrite what is unused of a tree's page; one that makes no sense is left as it is."""
        start = FILE_HEADER if number == 1 else 0
        kind = page[start]
        if kind not in HEADER_SIZES or number in self._skipped:
            return 0
        (cells,) = _number_16(page, start + 3)
        begin = _number_16(page, start + 5)[0] or 65536
        rows = start + HEADER_SIZES[kind]
        unused = [(rows + 2 * cells, begin)]
        end, (block,) = begin, _number_16(page, start + 1)
        while block and end <= block <= self._usable - 4:
            following, length = _block(page, block)
            end = block + length
            unused.append((block + 4, end))
            block = following
        if block or any(not begin <= end <= self._usable for begin, end in unused):
            return 0
        wiped = sum(self._zero(number, page[begin:end], begin) for begin, end in unused)
        if kind != TABLE_INTERIOR:
            places = _places(cells)(page, rows)
            wiped += sum(map(self._wipe_behind, self._overflows(page, kind, places)))
        return wiped

    def _overflows(self, page: bytes, kind: int, places: Sequence[int]) -> Iterator[Overflow]:
        most = self._most_in_table if kind == TABLE_LEAF else self._most_in_index
        for at in places:
            length, place = _varint(page, at + 4 if kind == INDEX_INTERIOR else at)
            if length <= most:
                continue
            if kind == TABLE_LEAF:
                _, place = _varint(page, place)
            on_page = self._least + (length - self._least) % (self._usable - 4)
            if on_page > most:
                on_page = self._least
            if place + on_page + 4 <= self._usable:
                yield Overflow(_number_32(page, place + on_page)[0], length - on_page)

    def _wipe_behind(self, overflow: Overflow) -> int:
        """Overwrite what is behind the end of a row on the last of its own pages."""
        number, left = overflow
        while 0 < number <= self._count and left > self._usable - 4:
            (number,) = _number_32(self._read((number - 1) * self._size, 4).ljust(4, b"\0"))
            left -= self._usable - 4
        if not 0 < number <= self._count:
            return 0
        behind = self._read((number - 1) * self._size + 4 + left, self._usable - 4 - left)
        return self._zero(number, behind, 4 + left)

    def _wipe_free_pages(self, numbers: Collection[int] | None) -> int:
        """Overwrite the free pages, or only those among the numbers."""
        wiped, seen, trunk = 0, set[int](), self._first_trunk
        while 0 < trunk <= self._count and trunk not in seen:
            seen.add(trunk)
            page = self._page(trunk)
            following, count = Struct(">II").unpack_from(page)
            if count > self._usable // 4 - 2:
                break
            if numbers is None or trunk in numbers:
                wiped += self._zero(trunk, page[8 + 4 * count :], 8 + 4 * count)
            for free in Struct(f">{count}I").unpack_from(page, 8):
                if 0 < free <= self._count and (numbers is None or free in numbers):
                    wiped += self._zero(free, self._page(free), 0)
            trunk = following
        return wiped

    def _without_rows(self, *, has_page_maps: bool) -> set[int]:
        """Return the pages whose first byte may be that of a tree's page, and which are none."""
        skipped = {LOCKED_BYTE // self._size + 1}
        if has_page_maps:  # of a file with auto_vacuum
            for number in range(2, self._count + 1, self._usable // 5 + 1):
                skipped.add(number + 1 if number in skipped else number)
        return skipped

    def _zero(self, number: int, unused: bytes, begin: int) -> int:
        """Overwrite bytes of a page unless they are zero, and return whether they were not."""
        if not unused.strip(b"\0"):
            return 0
        self._file.seek((number - 1) * self._size + begin)
        self._file.write(bytes(len(unused)))
        return 1

    def _page(self, number: int) -> bytes:
        return self._read((number - 1) * self._size, self._size)

    def _read(self, place: int, length: int) -> bytes:
        self._file.seek(place)
        return self._file.read(length)


@cache
def _places(cells: int) -> Callable[[bytes | bytearray, int], tuple[int, ...]]:
    """Return what reads the places of so many rows."""
    return Struct(f">{cells}H").unpack_from


def _first_byte(most: int) -> int:
    """Return the least first byte of a length of two bytes that may be greater; 256 for none."""
    return 0x80 | most >> 7 if most < 1 << 14 else 256


def _varint(page: bytes, place: int) -> tuple[int, int]:
    """Return SQLite's number of a variable length, and the place behind it."""
    value = 0
    for count, byte in enumerate(page[place : place + 9], 1):
        if count == 9:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count
    return 0, place  # the page ends before the number does
