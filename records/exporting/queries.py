"""The queries of an export: the people under an access key, and all rows about some of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from db import InterviewKey, Session, position_digest
from records.exporting.tables import (
    NOTICES,
    OF_EITHER,
    OF_INTERVIEW,
    OF_NAMES,
    OF_SCORECARD,
    POSITION,
    RUBRICS,
    Table,
)

Row = dict[str, Any]

RowsByKey = Mapping[str, Mapping[str, Sequence[Row]]]
"""By the table's name and by the interview's digest or the scorecard's id; empty where none is."""

# The tables by which people are found, in turn. Whoever is in another one is in one of these too:
# nobody has a scorecard, a decision or a note who was neither invited nor heard.
SOURCES = ("messages", "invitations", "consents", "other_ways")

# In the place of an interview's digest: a hold on the whole position.
WHOLE_POSITION = ""


class Person(NamedTuple):
    """A row by which a person is found."""

    number: int
    interview: InterviewKey
    is_known: bool
    """Whether the person was found by an earlier row."""


class People:
    """Everyone on whom anything is kept under an access key, a page at a time."""

    def __init__(self, session: Session, access_key: str) -> None:
        self._session = session
        self._access_key = access_key

    def page(self, source: str, after: int, ends: Mapping[str, int], limit: int) -> list[Person]:
        """Return the people of rows behind a place of a table.

        Args:
            source: One of `SOURCES`.
            after: The number of the last row that was looked at; 0 for the first.
            ends: The number of the last row of each source before this one. Who has a row there
                that came later was not found by it.
            limit: The most rows to look at.

        """
        values = {
            "access_key": self._access_key,
            "position": position_digest(self._access_key),
            "after": after,
            "limit": limit,
            **{f"end_{name}": end for name, end in ends.items()},
        }
        query = self._with_messages() if source == "messages" else self._without(source, ends)
        return [
            Person(number, InterviewKey(self._access_key, name, email), bool(is_known))
            for number, name, email, is_known in self._session.execute(query, values).fetchall()
        ]

    def _with_messages(self) -> str:
        return (
            f"SELECT id, name, email, 0 FROM messages WHERE {self._session.one_access_key}"
            " AND is_first = 1 AND id > :after ORDER BY id LIMIT :limit"
        )

    def _without(self, source: str, ends: Iterable[str]) -> str:
        # The condition that finds an interview, with the row's names in the place of parameters.
        of_row = self._session.one_interview
        for column in ("access_key", "name", "email"):
            of_row = of_row.replace(f":{column}", f"here.{column}")
        known = [
            f"EXISTS (SELECT 1 FROM {source} AS earlier WHERE earlier.interview = here.interview"
            " AND earlier.number < here.number)"
        ]
        for name in ends:
            if name == "messages":
                # Not by `is_first`: its index would be read from the beginning for each row.
                known.append(
                    f"EXISTS (SELECT 1 FROM messages WHERE {of_row} AND id <= :end_messages)"
                )
            else:
                known.append(
                    f"EXISTS (SELECT 1 FROM {name} AS earlier WHERE"
                    f" earlier.interview = here.interview AND earlier.number <= :end_{name})"
                )
        # Only so many rows are looked at, so that no query takes long where all of them are known.
        return (
            f"SELECT number, name, email, {' OR '.join(known)} FROM (SELECT * FROM {source}"
            " WHERE position = :position AND number > :after ORDER BY number LIMIT :limit) AS here"
            " ORDER BY number"
        )


class ExportedRows:
    """All rows about some people, or about a position."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._execute = session.execute

    def of(self, interviews: Sequence[InterviewKey]) -> RowsByKey:
        """Return all rows about the people, who are under one access key."""
        # Nothing is fetched before all is asked for: PostgreSQL then answers in one round trip.
        asked = [
            (table, "", self._execute(query, values))
            for table, query, values in self._by_digest(interviews)
        ]
        for interview in interviews:
            for table in OF_NAMES:
                rows = self._execute(
                    f"SELECT '', {_columns(table)} FROM {table.name}"
                    f" WHERE {self._session.one_interview} ORDER BY {table.order}",
                    interview._asdict(),
                )
                asked.append((table, interview.digest(), rows))
        found: defaultdict[str, defaultdict[str, list[Row]]]
        found = defaultdict(lambda: defaultdict(list))
        for table, key, answer in asked:
            names = table.columns.split(", ")
            for row_key, *row in answer.fetchall():
                # Where a table has no key, its rows were asked for one interview.
                owner = row_key if table.key else key
                found[table.name][owner].append(dict(zip(names, row, strict=True)))
        return found

    def _by_digest(
        self, interviews: Sequence[InterviewKey]
    ) -> Iterable[tuple[Table, str, dict[str, object]]]:
        digests = {f"d{place}": one.digest() for place, one in enumerate(interviews)}
        names = ", ".join(f":{name}" for name in digests)
        of_scorecards = f"IN (SELECT id FROM scorecards WHERE interview IN ({names}))"
        values: dict[str, object] = {
            **digests,
            "position": position_digest(interviews[0].access_key),
            "whole": WHOLE_POSITION,
        }
        for table in (*OF_INTERVIEW, *OF_SCORECARD, *OF_EITHER):
            if table in OF_SCORECARD:
                condition = f"{table.key} {of_scorecards}"
            elif table in OF_EITHER:
                condition = f"{table.key} IN ({names}) OR {table.key} {of_scorecards}"
            elif table.name == "legal_holds":
                condition = f"position = :position AND {table.key} IN (:whole, {names})"
            else:
                condition = f"{table.key} IN ({names})"
            query = (
                f"SELECT {table.key}, {_columns(table)} FROM {table.name}"
                f" WHERE {condition} ORDER BY {table.order}"
            )
            yield table, query, values

    def position(self, access_key: str) -> Row | None:
        """Return the row of the access key's position; None if it has none."""
        rows = self._of_position(POSITION, access_key, "")
        return rows[0] if rows else None

    def rubrics(self, access_key: str, versions: Iterable[int] | None = None) -> list[Row]:
        """Return versions of the position's rubric; all of them, unless some are named."""
        return self._of_position(RUBRICS, access_key, _one_of(versions))

    def notices(self, access_key: str, versions: Iterable[int] | None = None) -> list[Row]:
        """Return versions of the position's notice; all of them, unless some are named."""
        return self._of_position(NOTICES, access_key, _one_of(versions))

    def holds_on_position(self, access_key: str) -> list[Row]:
        """Return the legal holds on the whole position."""
        (table,) = (one for one in OF_INTERVIEW if one.name == "legal_holds")
        return self._of_position(table, access_key, "AND interview = ''")

    def erasures(self, access_key: str, after: int, limit: int) -> list[tuple[int, str, Row]]:
        """Return receipts of erasures under the access key, behind a place of the table.

        Each has its place, and the digest of the interview that was erased.
        """
        (table,) = (one for one in OF_INTERVIEW if one.name == "erasures")
        rows = self._execute(
            f"SELECT number, interview, {table.columns} FROM erasures WHERE position = :position"
            " AND number > :after ORDER BY number LIMIT :limit",
            {"position": position_digest(access_key), "after": after, "limit": limit},
        )
        names = table.columns.split(", ")
        return [
            (number, interview, dict(zip(names, row, strict=True)))
            for number, interview, *row in rows.fetchall()
        ]

    def _of_position(self, table: Table, access_key: str, condition: str) -> list[Row]:
        rows = self._execute(
            f"SELECT {table.columns} FROM {table.name}"
            f" WHERE position = :position {condition} ORDER BY {table.order}",
            {"position": position_digest(access_key)},
        )
        names = table.columns.split(", ")
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def _columns(table: Table) -> str:
    # An old file may hold a number for a time.
    return table.columns.replace("date_created", "CAST(date_created AS TEXT)")


def _one_of(versions: Iterable[int] | None) -> str:
    if versions is None:
        return ""
    # Whole numbers, of the service's own counting; 0 is no version.
    return f"AND version IN ({', '.join(map(str, sorted({0, *map(int, versions)})))})"
