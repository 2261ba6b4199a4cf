"""What is kept, read a little at a time: no connection is held while somebody reads what was read.

The document of each person is of one moment. Those of a position follow each other, so that what
is stored meanwhile may be in the later ones: everyone on whom something was kept at the beginning,
and is still kept, is there once.
"""

from collections.abc import Iterator

from db import Database, InterviewKey, stored_now
from records.exporting.document import (
    Json,
    as_read,
    of_end,
    of_erasure,
    of_person,
    of_position,
    position,
)
from records.exporting.queries import SOURCES, ExportedRows, People

# People whose documents are made at once, and so in memory together.
PEOPLE_AT_ONCE = 5

# Rows that are looked at in one query for the people, or for receipts, that come next.
ROWS_AT_ONCE = 500


def person(database: Database, interview: InterviewKey) -> Json | None:
    """Return everything that is kept on one person, with the position; None if nothing is."""
    with database.snapshot() as session:
        rows = ExportedRows(session)
        found = rows.of([interview])
        stored = rows.position(interview.access_key)
        rubrics = {row["rubric_version"] for row in found["scorecards"][interview.digest()]}
        notices = {row["version"] for row in found["consents"][interview.digest()]}
        if stored is not None:
            rubrics.add(stored["rubric_version"] or 0)
            notices.add(stored["notice_version"] or 0)
        beside = {
            "position": position(
                stored,
                rows.rubrics(interview.access_key, rubrics),
                rows.notices(interview.access_key, notices),
            )
        }
    return of_person(interview, found, _now(), beside)


def under(database: Database, access_key: str) -> Iterator[list[Json]]:
    """Yield everything that is kept under an access key: documents, a few at once.

    First that of the position, then those of the people, then receipts of erasures, and last the
    end. Nothing at all is yielded if nothing is kept.
    """
    first = _position(database, access_key)
    is_begun = first["position"] is not None or bool(first["legal_holds"])
    if is_begun:
        yield [first]
    counts = {"interviews": 0, "erasures": 0}
    for kind, documents in (
        ("interviews", _people(database, access_key)),
        ("erasures", _erasures(database, access_key)),
    ):
        for batch in documents:
            if not is_begun:
                yield [first]
                is_begun = True
            counts[kind] += len(batch)
            yield batch
    if is_begun:
        yield [of_end(counts)]


def _position(database: Database, access_key: str) -> Json:
    with database.snapshot() as session:
        rows = ExportedRows(session)
        return of_position(
            access_key,
            rows.position(access_key),
            rows.rubrics(access_key),
            rows.notices(access_key),
            rows.holds_on_position(access_key),
            _now(),
        )


def _people(database: Database, access_key: str) -> Iterator[list[Json]]:
    ends: dict[str, int] = {}
    for source in SOURCES:
        after, is_over = 0, False
        while not is_over:
            with database.reading() as session:
                page = People(session, access_key).page(source, after, ends, ROWS_AT_ONCE)
            found = [one.interview for one in page if not one.is_known]
            for start in range(0, len(found), PEOPLE_AT_ONCE):
                if batch := _documents(database, found[start : start + PEOPLE_AT_ONCE]):
                    yield batch
            after = page[-1].number if page else after
            is_over = len(page) < ROWS_AT_ONCE
        ends[source] = after


def _documents(database: Database, interviews: list[InterviewKey]) -> list[Json]:
    with database.snapshot() as session:
        rows = ExportedRows(session).of(interviews)
    now = _now()
    documents = [of_person(interview, rows, now, {}) for interview in interviews]
    # Whoever was erased since the page of names was read is None.
    return [document for document in documents if document is not None]


def _erasures(database: Database, access_key: str) -> Iterator[list[Json]]:
    after, is_over = 0, False
    while not is_over:
        with database.reading() as session:
            page = ExportedRows(session).erasures(access_key, after, ROWS_AT_ONCE)
        if page:
            yield [of_erasure(digest, row) for _, digest, row in page]
            after = page[-1][0]
        is_over = len(page) < ROWS_AT_ONCE


def _now() -> str:
    return str(as_read({"at": stored_now()})["at"])
