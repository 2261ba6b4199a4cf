"""The board's queries: a position's applicants, those of a page at a time, and its figures.

A page of the list must not read what all applicants have said: what it takes from messages and
scorecards is found by indexes, for the rows that are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from db import InterviewKey, Session, position_digest

# Of several scorecards of an interview the newest with a result counts; without any, the newest.
RANK = "CASE WHEN state IN ('scored', 'needs_review') THEN 0 ELSE 1 END, number DESC"

# The largest number that a row can have; a larger one is no value that a database compares with.
MAX_NUMBER = 2**63 - 1

SCORED = "IN ('scored', 'needs_review')"
NEEDS_REVIEW = "= 'needs_review'"

# Who has a scorecard with a result: the one that counts then has one as well.
HAVE_SCORES = f"(SELECT name, email FROM scorecards WHERE position = :position AND state {SCORED})"

HAVE_ASKED = "(SELECT name, email FROM other_ways WHERE position = :position)"

HOLDS_TEXT = (
    "(LOWER(name) LIKE LOWER(:text) ESCAPE '!' OR LOWER(email) LIKE LOWER(:text) ESCAPE '!')"
)

STATES = ("started", "finished", "unscored", "scored", "needs_review", "another_way", "invited")
SORTS = ("newest", "name", "total", "lowest")

ORDERS = {
    "newest": "id DESC",
    "name": "name, id",
    "total": "total DESC, name",
    "lowest": "total, name",
}


@dataclass(frozen=True)
class Search:
    """Which applicants are asked for, and in which order."""

    text: str = ""
    """A part of the name or of the e-mail address."""
    state: str = ""
    decision: str = ""
    sort: str = "newest"


class Row(NamedTuple):
    """One applicant of the list. Times are UTC, as they are stored."""

    interview: InterviewKey
    number: int
    """Of the interview; of the invitation where there is no interview."""
    state: str
    messages: int
    last_at: str
    total: float | None
    has_asked: bool
    """Whether they have asked for another way."""
    decision: str
    decided_by: str
    decided_at: str


class Applicants:
    """The applicants of one position: those with an interview, then those who are only invited.

    Last come those who are neither, and have asked for another way.
    """

    def __init__(self, session: Session, access_key: str) -> None:
        self._execute = session.execute
        self._one_access_key = session.one_access_key
        self._of_row = session.one_interview.replace(":name", "page.name").replace(
            ":email", "page.email"
        )
        self._of_invited = (
            session.one_interview.replace(":access_key", "invitations.access_key")
            .replace(":name", "invitations.name")
            .replace(":email", "invitations.email")
        )
        self._of_asking = self._of_invited.replace("invitations.", "other_ways.")
        self._access_key = access_key
        self._position = position_digest(access_key)

    def page(self, search: Search, limit: int, offset: int) -> list[Row]:
        """Return applicants from a place of the list on."""
        if search.state == "invited":
            return self._invited(search, limit, offset)
        rows = self._with_interview(search, limit, offset)
        is_total = search.sort in ("total", "lowest")  # which nobody has without an interview
        if (
            len(rows) < limit
            and search.state in ("", "another_way")
            and not is_total
            and search.decision in ("", "undecided")
        ):
            before = self._count(search) if offset else 0
            rows += self._invited(search, limit - len(rows), max(0, offset - before))
            if len(rows) < limit:
                before += self._count_invited(search) if offset else 0
                rows += self._asking(search, limit - len(rows), max(0, offset - before))
        return rows

    def _with_interview(self, search: Search, limit: int, offset: int) -> list[Row]:
        found, values = self._found(search)
        rows = self._execute(
            f"WITH page AS ({found} ORDER BY {ORDERS[search.sort]} LIMIT :limit OFFSET :offset)"
            " SELECT page.name, page.email,"
            f" (SELECT MIN(id) FROM messages WHERE {self._of_row}),"
            f" (SELECT COUNT(*) FROM messages WHERE {self._of_row} AND role <> 'aside'),"
            f" (SELECT CAST(date_created AS TEXT) FROM messages WHERE {self._of_row}"
            " ORDER BY id DESC LIMIT 1),"
            f" (SELECT MAX(is_finished) FROM messages WHERE {self._of_row}) FROM page",
            {**values, "limit": limit, "offset": offset},
        ).fetchall()
        interviews = [InterviewKey(self._access_key, row[0], row[1]) for row in rows]
        digests = [interview.digest() for interview in interviews]
        scored = self._scored(digests)
        decided = self._decided(digests)
        asked = self._asked(digests)
        shown = []
        for interview, digest, row in zip(interviews, digests, rows, strict=True):
            number, messages, last_at, is_finished = row[2:]
            state, total = scored.get(digest, ("finished" if is_finished else "started", None))
            decision = decided.get(digest, ("undecided", "", ""))
            # Without the prompt.
            shown.append(
                Row(
                    *(interview, number, state, messages - 1, last_at, total),
                    digest in asked,
                    *decision,
                )
            )
        return shown

    def _count(self, search: Search) -> int:
        found, values = self._found(search)
        row = self._execute(f"SELECT COUNT(*) FROM ({found}) AS found", values).fetchone()
        return int(row[0]) if row else 0

    def _found(self, search: Search) -> tuple[str, dict[str, object]]:
        """Return the query of the interviews that are asked for, and its values."""
        started = f"FROM messages WHERE {self._one_access_key}"
        finished = f"(SELECT name, email {started} AND is_finished = 1)"
        values: dict[str, object] = {"access_key": self._access_key, "position": self._position}
        conditions = {
            "": [],
            "started": [f"(name, email) NOT IN {finished}"],
            "finished": [f"(name, email) IN {finished}"],
            "unscored": [
                f"(name, email) IN {finished}",
                f"(name, email) NOT IN {HAVE_SCORES}",
            ],
            "scored": [f"(name, email) IN {HAVE_SCORES}"],
            "needs_review": [f"(name, email) IN {_newest_scores(NEEDS_REVIEW)}"],
            "another_way": [f"(name, email) IN {HAVE_ASKED}"],
        }[search.state]
        if search.decision == "undecided":
            conditions.append(f"(name, email) NOT IN {_newest_decisions('<> :decision')}")
        elif search.decision:
            conditions.append(f"(name, email) IN {_newest_decisions('= :decision')}")
        if search.decision:
            values["decision"] = search.decision
        if search.text:
            conditions.append(HOLDS_TEXT)
            values["text"] = _pattern(search.text)
        where = " AND ".join(["TRUE", *conditions])
        if search.sort in ("total", "lowest"):
            scores = _newest_scores(SCORED, "name, email, total")
            return (
                f"SELECT name, email, total FROM {scores} AS scored"
                f" WHERE total IS NOT NULL AND {where}",
                values,
            )
        return f"SELECT id, name, email {started} AND is_first = 1 AND {where}", values

    def _scored(self, digests: Sequence[str]) -> dict[str, tuple[str, float | None]]:
        names, values = _parameters(digests)
        rows = self._execute(
            "SELECT interview, state, total FROM (SELECT interview, state, total,"
            f" ROW_NUMBER() OVER (PARTITION BY interview ORDER BY {RANK}) AS place"
            f" FROM scorecards WHERE interview IN ({names})) AS ranked WHERE place = 1",
            values,
        )
        return {interview: (state, total) for interview, state, total in rows.fetchall()}

    def _decided(self, digests: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        names, values = _parameters(digests)
        rows = self._execute(
            "SELECT interview, decision, reviewer, created_at FROM decisions"
            f" WHERE interview IN ({names}) ORDER BY number",
            values,
        )
        return {interview: tuple(rest) for interview, *rest in rows.fetchall()}

    def _asked(self, digests: Sequence[str]) -> set[str]:
        names, values = _parameters(digests)
        rows = self._execute(
            f"SELECT DISTINCT interview FROM other_ways WHERE interview IN ({names})", values
        )
        return {interview for (interview,) in rows.fetchall()}

    def _invited(self, search: Search, limit: int, offset: int) -> list[Row]:
        found, values = self._found_invited(search)
        rows = self._execute(
            f"SELECT name, email, number, ended, created_at {found}"
            f" ORDER BY {_order(search)} LIMIT :limit OFFSET :offset",
            {**values, "limit": limit, "offset": offset},
        ).fetchall()
        interviews = [InterviewKey(self._access_key, row[0], row[1]) for row in rows]
        asked = self._asked([interview.digest() for interview in interviews])
        return [
            _row_of(interview, number, ended or "invited", at, interview.digest() in asked)
            for interview, (_, _, number, ended, at) in zip(interviews, rows, strict=True)
        ]

    def _count_invited(self, search: Search) -> int:
        found, values = self._found_invited(search)
        row = self._execute(f"SELECT COUNT(*) {found}", values).fetchone()
        return int(row[0]) if row else 0

    def _found_invited(self, search: Search) -> tuple[str, dict[str, object]]:
        conditions = [
            "position = :position AND (ended IS NULL OR ended = 'revoked')",
            f"NOT EXISTS (SELECT 1 FROM messages WHERE {self._of_invited})",
        ]
        if search.state == "another_way":
            conditions.append(f"(name, email) IN {HAVE_ASKED}")
        return self._without_interview("invitations", conditions, search)

    def _asking(self, search: Search, limit: int, offset: int) -> list[Row]:
        """Return those who have asked for another way, without interview or invitation."""
        conditions = [
            "position = :position",
            f"NOT EXISTS (SELECT 1 FROM messages WHERE {self._of_asking})",
            "NOT EXISTS (SELECT 1 FROM invitations WHERE interview = other_ways.interview"
            " AND (ended IS NULL OR ended = 'revoked'))",
        ]
        found, values = self._without_interview("other_ways", conditions, search)
        rows = self._execute(
            f"SELECT name, email, number, asked_at {found}"
            f" ORDER BY {_order(search)} LIMIT :limit OFFSET :offset",
            {**values, "limit": limit, "offset": offset},
        )
        return [
            _row_of(
                InterviewKey(self._access_key, name, email), number, "another_way", asked_at, True
            )
            for name, email, number, asked_at in rows.fetchall()
        ]

    def _without_interview(
        self, table: str, conditions: list[str], search: Search
    ) -> tuple[str, dict[str, object]]:
        """Return the end of the query of those without an interview, and its values."""
        values: dict[str, object] = {"position": self._position}
        if search.text:
            conditions.append(HOLDS_TEXT)
            values["text"] = _pattern(search.text)
        return f"FROM {table} WHERE {' AND '.join(conditions)}", values

    def numbers(self) -> tuple[int, int, int, int]:
        """Return how many were invited, have started, have finished and were scored."""
        values = {"access_key": self._access_key, "position": self._position}
        row = self._execute(
            "SELECT (SELECT COUNT(*) FROM invitations WHERE position = :position"
            " AND (ended IS NULL OR ended = 'revoked')),"
            f" (SELECT COUNT(*) FROM messages WHERE {self._one_access_key} AND is_first = 1),"
            " (SELECT COUNT(*) FROM (SELECT 1 FROM messages"
            f" WHERE {self._one_access_key} AND is_finished = 1 GROUP BY name, email) AS finished),"
            " (SELECT COUNT(DISTINCT interview) FROM scorecards WHERE position = :position"
            " AND state IN ('scored', 'needs_review'))",
            values,
        ).fetchone()
        invited, started, finished, scored = row or (0, 0, 0, 0)
        return invited, started, finished, scored

    def number_asked(self) -> int:
        """Return how many have asked for another way."""
        row = self._execute(
            "SELECT COUNT(DISTINCT interview) FROM other_ways WHERE position = :position",
            {"position": self._position},
        ).fetchone()
        return int(row[0]) if row else 0


class Found:
    """Interviews, invitations and requests by the numbers in the board's addresses."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_interview = session.one_interview

    def interview(self, number: int) -> InterviewKey | None:
        """Return the interview that begins with the message of this id."""
        if number > MAX_NUMBER:
            return None
        row = self._execute(
            "SELECT access_key, name, email FROM messages WHERE id = :id AND is_first = 1",
            {"id": number},
        ).fetchone()
        return InterviewKey._make(row) if row else None

    def number(self, interview: InterviewKey) -> int | None:
        """Return the number of an interview; None if nobody has started it."""
        row = self._execute(
            f"SELECT id FROM messages WHERE {self._one_interview} ORDER BY id LIMIT 1",
            interview._asdict(),
        ).fetchone()
        return int(row[0]) if row else None

    def invitation(self, number: int) -> "InvitationRow | None":
        """Return the invitation with this number."""
        if number > MAX_NUMBER:
            return None
        row = self._execute(
            "SELECT access_key, name, email, created_at, expires_at, ended FROM invitations"
            " WHERE number = :number",
            {"number": number},
        ).fetchone()
        return InvitationRow(InterviewKey(*row[:3]), *row[3:]) if row else None

    def another_way(self, number: int) -> tuple[InterviewKey, str] | None:
        """Return who has asked for another way by the request with this number, and when."""
        if number > MAX_NUMBER:
            return None
        row = self._execute(
            "SELECT access_key, name, email, asked_at FROM other_ways WHERE number = :number",
            {"number": number},
        ).fetchone()
        return (InterviewKey(*row[:3]), row[3]) if row else None

    def newest_invitation(self, interview: InterviewKey) -> tuple[int, "InvitationRow"] | None:
        """Return the number of the interview's newest invitation, and that invitation."""
        row = self._execute(
            "SELECT number, created_at, expires_at, ended FROM invitations"
            " WHERE interview = :interview ORDER BY number DESC LIMIT 1",
            {"interview": interview.digest()},
        ).fetchone()
        return (row[0], InvitationRow(interview, *row[1:])) if row else None


class InvitationRow(NamedTuple):
    """An applicant's link, as far as it is known."""

    interview: InterviewKey
    created_at: str
    expires_at: str
    ended: str | None


class Overviews:
    """Figures of positions."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_access_key = session.one_access_key

    def invited(self, access_keys: Sequence[str]) -> dict[str, int]:
        """Return how many people were invited under each of the access keys."""
        by_digest = {position_digest(access_key): access_key for access_key in access_keys}
        names, values = _parameters(list(by_digest))
        rows = self._execute(
            f"SELECT position, COUNT(*) FROM invitations WHERE position IN ({names})"
            " AND (ended IS NULL OR ended = 'revoked') GROUP BY position",
            values,
        )
        return {by_digest[position]: number for position, number in rows.fetchall()}

    def spans(self, access_key: str) -> list[tuple[str, str | None]]:
        """Return when each interview was started, and when it was finished."""
        rows = self._execute(
            "WITH started AS (SELECT name, email, CAST(date_created AS TEXT) AS at FROM messages"
            f" WHERE {self._one_access_key} AND is_first = 1),"
            " finished AS (SELECT name, email, MIN(CAST(date_created AS TEXT)) AS at FROM messages"
            f" WHERE {self._one_access_key} AND is_finished = 1 GROUP BY name, email)"
            " SELECT started.at, finished.at FROM started LEFT JOIN finished"
            " ON finished.name = started.name AND finished.email = started.email",
            {"access_key": access_key},
        )
        return [(started, finished) for started, finished in rows.fetchall()]

    def totals(self, access_key: str) -> list[tuple[str, float | None, str]]:
        """Return state, total and time of the scorecard that counts of each interview."""
        rows = self._execute(
            "SELECT state, total, finished_at FROM (SELECT state, total, finished_at, ROW_NUMBER()"
            f" OVER (PARTITION BY interview ORDER BY {RANK}) AS place FROM scorecards"
            " WHERE position = :position AND state IN ('scored', 'needs_review')) AS ranked"
            " WHERE place = 1",
            {"position": position_digest(access_key)},
        )
        return [(state, total, at) for state, total, at in rows.fetchall()]

    def invitations(self, access_key: str) -> list[str]:
        """Return when each person was invited."""
        rows = self._execute(
            "SELECT created_at FROM invitations WHERE position = :position"
            " AND (ended IS NULL OR ended = 'revoked')",
            {"position": position_digest(access_key)},
        )
        return [row[0] for row in rows.fetchall()]

    def version(self) -> str:
        """Return what is another text once anything has changed that a page of the board shows."""
        row = self._execute(
            "SELECT (SELECT MAX(id) FROM messages), (SELECT MAX(number) FROM scorecards),"
            " (SELECT MAX(number) FROM scorecard_reviews), (SELECT MAX(number) FROM decisions),"
            " (SELECT MAX(number) FROM invitations), (SELECT COUNT(ended) FROM invitations),"
            " (SELECT COUNT(*) FROM jobs),"
            " (SELECT MAX(id) FROM jobs), (SELECT MAX(updated_at) FROM positions),"
            " (SELECT MAX(number) FROM consents), (SELECT MAX(number) FROM other_ways),"
            " (SELECT MAX(number) FROM corrections), (SELECT MAX(number) FROM erasures),"
            " (SELECT MAX(wiped_at) FROM erasures), (SELECT COUNT(*) FROM legal_holds),"
            " (SELECT COUNT(ended_at) FROM legal_holds)",
            {},
        ).fetchone()
        return "-".join(str(value or 0) for value in row or ())


def _order(search: Search) -> str:
    return "name, number" if search.sort == "name" else "number DESC"


def _row_of(interview: InterviewKey, number: int, state: str, at: str, has_asked: bool) -> Row:
    """Return the row of somebody without an interview."""
    return Row(interview, number, state, 0, at, None, has_asked, "undecided", "", "")


def _newest_scores(state: str, columns: str = "name, email") -> str:
    """Return the query of the scorecards that count, of those in a state, one an interview."""
    return (
        f"(SELECT {columns} FROM (SELECT name, email, state, total, ROW_NUMBER() OVER"
        f" (PARTITION BY interview ORDER BY {RANK}) AS place FROM scorecards"
        f" WHERE position = :position) AS ranked WHERE place = 1 AND state {state})"
    )


def _newest_decisions(decision: str) -> str:
    """Return the query of who has such a decision as the newest."""
    return (
        "(SELECT name, email FROM (SELECT name, email, decision, ROW_NUMBER() OVER"
        " (PARTITION BY interview ORDER BY number DESC) AS place FROM decisions"
        f" WHERE position = :position) AS ranked WHERE place = 1 AND decision {decision})"
    )


def _pattern(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"


def _parameters(values: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the names of parameters for a list of values, and the values by name."""
    named = {f"value_{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named) or "NULL", named
