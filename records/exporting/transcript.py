"""The transcripts of exported documents, as text and as CSV."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator

from records.exporting.document import Json
from scorecards.views import cell

COLUMNS = ("name", "email", "id", "at", "who", "content", "notes")


def as_text(document: Json) -> str:
    """Return the transcript of a person's document, to be read."""
    head = f"{document['name']} <{document['email']}>, {document['access_key']}"
    return "\n\n".join([head, *map(_paragraph, with_notes(document))]) + "\n"


def as_csv(documents: Iterable[Json]) -> str:
    """Return the transcripts of several documents as CSV, one row a message."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for document in documents:
        for message, notes in with_notes(document):
            writer.writerow(
                map(
                    cell,
                    (
                        *(document["name"], document["email"]),
                        *(message["id"], message["created_at"], message["who"]),
                        *(message["content"], "\n\n".join(note["note"] for note in notes)),
                    ),
                )
            )
    return text.getvalue()


def with_notes(document: Json) -> Iterator[tuple[Json, list[Json]]]:
    """Yield each message with the notes that the applicant has put to it, oldest first."""
    notes: defaultdict[int, list[Json]] = defaultdict(list)
    for correction in document["corrections"]:
        notes[correction["message_id"]].append(correction)
    for message in document["messages"]:
        yield message, notes[message["id"]]


def _paragraph(message_and_notes: tuple[Json, list[Json]]) -> str:
    message, notes = message_and_notes
    lines = [f"[{message['created_at']}] {message['who'].capitalize()}:", message["content"]]
    for note in notes:
        lines += [f"[{note['created_at']}] Note by the applicant:", note["note"]]
    return "\n".join(lines)
