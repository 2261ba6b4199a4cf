"""Exports as ZIP files, written as they are sent: no more than a few documents are in memory."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from records.exporting import transcript
from records.exporting.document import Json, as_bytes, as_text
from records.exporting.page import as_html

# People, or bytes of their JSON, of which the files of one part of an archive are made. The list of
# files at an archive's end, kept in memory, grows with the number of parts.
PEOPLE_IN_PART = 50
BYTES_IN_PART = 500_000

README = """interviews-00001.ndjson and so on: everything that is kept, one JSON document a line.
interviews-00001.html: the same people, to be read in a browser.
interviews-00001.csv: their transcripts, one row a message.
position.json: the position, with every version of its rubric and its notice.
The last line of the last .ndjson file says how many there are. Without it, something is missing.
"""


class _Sink:
    """A file to write to, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep the bytes."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nothing behind it."""

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        data, self._pieces = b"".join(self._pieces), []
        return data


class Archive:
    """A ZIP file that is written into memory and taken out piece by piece."""

    def __init__(self) -> None:
        self._sink = _Sink()
        # Without `seek` and `tell`, as here, zipfile writes sizes behind the data.
        self._file = ZipFile(self._sink, "w", ZIP_DEFLATED)  # type: ignore[call-overload]
        self._time = datetime.now(UTC).timetuple()[:6]

    def add(self, name: str, text: str) -> None:
        """Write a file."""
        info = ZipInfo(name, self._time)
        info.compress_type = ZIP_DEFLATED
        info.external_attr = 0o600 << 16  # for its owner alone, once it is unpacked
        self._file.writestr(info, as_bytes(text))

    def end(self) -> None:
        """Write the list of files."""
        self._file.close()

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        return self._sink.taken()


def of_person(document: Json) -> bytes:
    """Return the ZIP file of one person."""
    archive = Archive()
    archive.add("interview.json", as_text(document, indent=2))
    archive.add("interview.html", as_html([document]))
    archive.add("transcript.txt", transcript.as_text(document))
    archive.add("transcript.csv", transcript.as_csv([document]))
    archive.end()
    return archive.taken()


def of_position(batches: Iterable[list[Json]]) -> Iterator[bytes]:
    """Yield the ZIP file of a position, from its documents."""
    archive = Archive()
    archive.add("README.txt", README)
    for number, part in enumerate(_parts(archive, batches), 1):
        name = f"interviews-{number:05}"
        people = [document for document in part if document["kind"] == "interview"]
        archive.add(f"{name}.ndjson", "".join(f"{as_text(document)}\n" for document in part))
        if people:
            archive.add(f"{name}.html", as_html(people))
            archive.add(f"{name}.csv", transcript.as_csv(people))
        yield archive.taken()
    archive.end()
    yield archive.taken()


def _parts(archive: Archive, batches: Iterable[list[Json]]) -> Iterator[list[Json]]:
    """Yield documents in parts of the archive, and put that of the position into it at once."""
    part: list[Json] = []
    size = 0
    for batch in batches:
        for document in batch:
            if document["kind"] == "position":
                archive.add("position.json", as_text(document, indent=2))
                continue
            part.append(document)
            size += len(as_text(document))
        if len(part) >= PEOPLE_IN_PART or size >= BYTES_IN_PART:
            yield part
            part, size = [], 0
    if part:
        yield part
