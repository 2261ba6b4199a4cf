"""The queries of positions and of their rubrics' versions."""

import json
from typing import Any, NamedTuple

from db import InterviewKey, Session, position_digest, stored_now
from positions.notices import Notice

Json = dict[str, Any]

# Hours after the end for which applicants may add notes to their messages, unless the position says
# otherwise; also where there is no position.
CORRECTION_HOURS = 48


class StoredRubric(NamedTuple):
    """A version of a position's rubric."""

    version: int
    sha256: str
    body: Json
    """The rubric's JSON as it was put: `criteria`, `minCoverage`, `weightsRationale`."""


class StoredPosition(NamedTuple):
    """A position as it is stored. Times are UTC, `YYYY-MM-DD HH:MM:SS.ffffff`."""

    access_key: str
    title: str
    prompt: str
    is_open: bool
    time_limit: int | None
    is_scored_automatically: bool
    plan: Json | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str
    rubric: StoredRubric | None
    notice: Notice | None = None
    """The notice that applicants are shown; None where none is stored yet."""
    has_own_notice: bool = False
    """Whether a recruiter has written it."""
    is_consent_required: bool = False
    correction_hours: int = CORRECTION_HOURS
    retention_days: int | None = None
    """Days after which an interview is erased; None where none is by its age."""


class PositionRow(NamedTuple):
    """A position in a list, with the number of its interviews."""

    access_key: str
    title: str
    is_open: bool
    applicants: int
    finished: int
    scored: int


def lock_of(access_key: str) -> InterviewKey:
    """Return what `Database.transaction()` takes to keep other changes of the position waiting.

    It stands for no interview, as each has a name and an e-mail address.
    """
    return InterviewKey(access_key, "", "")


class Positions:
    """Positions, each named by its access key."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute
        self._one_access_key = session.one_access_key

    def put(
        self,
        access_key: str,
        *,
        title: str,
        prompt: str,
        is_open: bool,
        time_limit: int | None,
        is_scored_automatically: bool,
        rubric_version: int | None,
        notice_version: int,
        has_own_notice: bool,
        is_consent_required: bool,
        correction_hours: int,
        plan: Json | None,
        metadata: dict[str, str],
    ) -> None:
        """Store the position, in place of what was stored of it before."""
        self._execute(
            "INSERT INTO positions (position, access_key, title, prompt, is_open, time_limit,"
            " is_scored_automatically, rubric_version, notice_version, is_consent_required,"
            " correction_hours, body, created_at, updated_at)"
            " VALUES (:position, :access_key, :title, :prompt, :is_open, :time_limit,"
            " :is_scored_automatically, :rubric_version, :notice_version, :is_consent_required,"
            " :correction_hours, :body, :now, :now)"
            " ON CONFLICT (position) DO UPDATE SET title = excluded.title,"
            " prompt = excluded.prompt, is_open = excluded.is_open,"
            " time_limit = excluded.time_limit,"
            " is_scored_automatically = excluded.is_scored_automatically,"
            " rubric_version = excluded.rubric_version,"
            " notice_version = excluded.notice_version,"
            " is_consent_required = excluded.is_consent_required,"
            " correction_hours = excluded.correction_hours, body = excluded.body,"
            " updated_at = excluded.updated_at",
            {
                "position": position_digest(access_key),
                "access_key": access_key,
                "title": title,
                "prompt": prompt,
                "is_open": int(is_open),
                "time_limit": time_limit,
                "is_scored_automatically": int(is_scored_automatically),
                "rubric_version": rubric_version,
                "notice_version": notice_version,
                "is_consent_required": int(is_consent_required),
                "correction_hours": correction_hours,
                "body": json.dumps(
                    {
                        "plan": plan,
                        "metadata": metadata,
                        # An older version of the service has stored neither.
                        **({"hasOwnNotice": True} if has_own_notice else {}),
                    },
                    ensure_ascii=False,
                ),
                "now": stored_now(),
            },
        )

    def get(self, access_key: str) -> StoredPosition | None:
        """Return the position, with its current rubric and notice; None if there is none."""
        row = self._execute(
            "SELECT positions.access_key, title, prompt, is_open, time_limit,"
            " is_scored_automatically, body, positions.created_at, updated_at,"
            " is_consent_required, correction_hours, retention_days,"
            " notices.version, language, text, rubrics.version, sha256, rubric"
            " FROM positions LEFT JOIN rubrics ON rubrics.position = positions.position"
            " AND rubrics.version = rubric_version LEFT JOIN notices"
            " ON notices.position = positions.position AND notices.version = notice_version"
            " WHERE positions.position = :position",
            {"position": position_digest(access_key)},
        ).fetchone()
        if row is None:
            return None
        stored_key, title, prompt, is_open, time_limit, is_scored, body, created_at, updated_at = (
            row[:9]
        )
        is_consent_required, correction_hours, retention_days = row[9:12]
        rest = json.loads(body)
        return StoredPosition(
            stored_key,
            title,
            prompt,
            bool(is_open),
            time_limit,
            bool(is_scored),
            rest["plan"],
            rest["metadata"],
            created_at,
            updated_at,
            rubric=None if row[15] is None else _stored_rubric(row[15:]),
            notice=None if row[12] is None else Notice._make(row[12:15]),
            has_own_notice=rest.get("hasOwnNotice", False),
            is_consent_required=bool(is_consent_required),
            correction_hours=correction_hours,
            retention_days=retention_days,
        )

    def set_open(self, access_key: str, *, is_open: bool) -> None:
        """Open the position to applicants, or close it."""
        self._execute(
            "UPDATE positions SET is_open = :is_open, updated_at = :now WHERE position = :position",
            {"position": position_digest(access_key), "is_open": int(is_open), "now": stored_now()},
        )

    def page(self, limit: int, after: str | None) -> list[PositionRow] | None:
        """Return positions, the newest first, with the number of their interviews.

        None if there is no position `after`.

        Args:
            limit: The most to return.
            after: The access key of the position that they follow in the list; None for the first.

        """
        # The position's own access key in the place of a parameter, so that each count is taken
        # from an index within the one query.
        of_position = self._one_access_key.replace(":access_key", "positions.access_key")
        newest = ""
        values: dict[str, object] = {"limit": limit}
        if after is not None:
            last = self._execute(
                "SELECT id FROM positions WHERE position = :position",
                {"position": position_digest(after)},
            ).fetchone()
            if last is None:
                return None
            newest = "WHERE id < :last"
            values["last"] = last[0]
        rows = self._execute(
            "SELECT positions.access_key, title, is_open,"  # noqa: S608  # constants alone
            f" (SELECT COUNT(*) FROM messages WHERE {of_position} AND is_first = 1),"
            f" (SELECT COUNT(*) FROM (SELECT 1 FROM messages WHERE {of_position}"
            " AND is_finished = 1 GROUP BY name, email) AS finished),"
            " (SELECT COUNT(DISTINCT interview) FROM scorecards"
            " WHERE scorecards.position = positions.position"
            " AND state IN ('scored', 'needs_review'))"
            f" FROM positions {newest} ORDER BY id DESC LIMIT :limit",
            values,
        )
        return [
            PositionRow(access_key, title, bool(is_open), *counts)
            for access_key, title, is_open, *counts in rows.fetchall()
        ]


class Rubrics:
    """Every version of positions' rubrics."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def current(self, access_key: str) -> StoredRubric | None:
        """Return the rubric that the position has now; None if it has none."""
        row = self._execute(
            "SELECT version, sha256, rubric FROM positions JOIN rubrics"
            " ON rubrics.position = positions.position AND version = rubric_version"
            " WHERE positions.position = :position",
            {"position": position_digest(access_key)},
        ).fetchone()
        return _stored_rubric(row) if row else None

    def version(self, access_key: str, number: int) -> StoredRubric | None:
        """Return a version of the position's rubric; None if there is no such version."""
        row = self._execute(
            "SELECT version, sha256, rubric FROM rubrics"
            " WHERE position = :position AND version = :version",
            {"position": position_digest(access_key), "version": number},
        ).fetchone()
        return _stored_rubric(row) if row else None

    def add(self, access_key: str, sha256: str, rubric: Json) -> int:
        """Return the number of the newest version, which is this rubric from now on.

        It is a new version, unless the newest is the same. To be called with the position's lock.
        """
        position = position_digest(access_key)
        row = self._execute(
            "SELECT version, sha256 FROM rubrics WHERE position = :position"
            " ORDER BY version DESC LIMIT 1",
            {"position": position},
        ).fetchone()
        newest, newest_sha256 = row or (0, "")
        if newest_sha256 == sha256:
            return int(newest)
        self._execute(
            "INSERT INTO rubrics (position, version, sha256, rubric, created_at)"
            " VALUES (:position, :version, :sha256, :rubric, :now)",
            {
                "position": position,
                "version": newest + 1,
                "sha256": sha256,
                "rubric": json.dumps(rubric, ensure_ascii=False),
                "now": stored_now(),
            },
        )
        return int(newest) + 1


def _stored_rubric(row: tuple[Any, ...]) -> StoredRubric:
    version, sha256, rubric = row
    return StoredRubric(version, sha256, json.loads(rubric))
