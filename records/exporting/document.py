"""The JSON documents of an export, from the rows of the tables. `docs/export.schema.json` has them.

Nothing is read here, and nothing left out that `tables.py` does not name.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db import InterviewKey, Message, position_digest
from interviews.history import is_finished, is_started
from records.exporting.queries import WHOLE_POSITION, Row, RowsByKey
from records.exporting.tables import AS_JSON, AS_TIME

Json = dict[str, Any]

# Raised whenever a program that reads a document would have to change.
VERSION = 1

# The tables whose rows make a document of one person. Without one, nothing is kept that names the
# person: what else there is has only the digest.
PERSONAL = (
    *("messages", "invitations", "consents", "other_ways", "corrections", "scorecards"),
    *("decisions", "legal_holds", "idempotency_keys"),
)

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)Z?")


def of_person(
    interview: InterviewKey, rows: RowsByKey, exported_at: str, beside: Mapping[str, Any]
) -> Json | None:
    """Return everything that is kept on one person; None if nothing is.

    Args:
        interview: Who it is.
        rows: The rows about the person, and perhaps about others.
        exported_at: The time of the export.
        beside: Members that come from elsewhere.

    """
    digest = interview.digest()

    def part(table: str) -> list[Json]:
        return list(map(as_read, rows[table][digest]))

    if not any(rows[table][digest] for table in PERSONAL):
        return None
    return {
        "kind": "interview",
        "version": VERSION,
        "exported_at": exported_at,
        **interview._asdict(),
        "digest": digest,
        "status": _status(rows["messages"][digest]),
        **beside,
        "invitations": part("invitations"),
        "consents": part("consents"),
        "other_ways": part("other_ways"),
        "messages": _messages(rows["messages"][digest]),
        "corrections": part("corrections"),
        "scorecards": [_scorecard(row, rows) for row in rows["scorecards"][digest]],
        "decisions": part("decisions"),
        "legal_holds": [
            *_holds("position", rows["legal_holds"][WHOLE_POSITION]),
            *_holds("interview", rows["legal_holds"][digest]),
        ],
        "erasures": part("erasures"),
        "jobs": part("jobs"),
        "idempotency_keys": part("idempotency_keys"),
        "token_revocations": sum(row["revocations"] for row in rows["token_revocations"][digest]),
        "audit_events": part("audit_events"),
    }


def of_position(
    access_key: str,
    row: Row | None,
    rubrics: Iterable[Row],
    notices: Iterable[Row],
    holds: Iterable[Row],
    exported_at: str,
) -> Json:
    """Return what is kept of a position, beside the interviews."""
    return {
        "kind": "position",
        "version": VERSION,
        "exported_at": exported_at,
        "access_key": access_key,
        "digest": position_digest(access_key),
        "position": position(row, rubrics, notices),
        "legal_holds": _holds("position", holds),
    }


def position(row: Row | None, rubrics: Iterable[Row], notices: Iterable[Row]) -> Json | None:
    """Return a position with versions of its rubric and of its notice."""
    if row is None:
        return None
    return {
        **as_read(row),
        "rubrics": list(map(as_read, rubrics)),
        "notices": list(map(as_read, notices)),
    }


def of_erasure(digest: str, row: Row) -> Json:
    """Return the receipt of an erasure, of which the person's digest is all that is known."""
    return {"kind": "erasure", "digest": digest, **as_read(row)}


def of_end(counts: Mapping[str, int]) -> Json:
    """Return what ends the export of a position: without it, something is missing."""
    return {"kind": "end", **counts}


def as_read(row: Row) -> Json:
    """Return a row as JSON: what is stored as text of JSON as its value, times in ISO 8601."""
    return {name: _value(name, value) for name, value in row.items()}


def as_text(document: Json, indent: int | None = None) -> str:
    """Return the document as JSON."""
    return json.dumps(
        document,
        ensure_ascii=False,
        indent=indent,
        separators=(",", ": ") if indent else (",", ":"),
    )


def as_bytes(text: str) -> bytes:
    """Return text in UTF-8.

    A model may have answered with half a character, which UTF-8 does not have. In JSON it is then
    written as it would be with a backslash.
    """
    return text.encode(errors="backslashreplace")


def _value(name: str, value: Any) -> Any:  # noqa: ANN401  # of any column
    if name.startswith("is_"):
        return bool(value)
    if isinstance(value, str) and name in AS_TIME:
        time = _TIME.fullmatch(value)
        return f"{time[1]}T{time[2]}Z" if time else value
    if isinstance(value, str) and name in AS_JSON:
        try:
            return json.loads(value or "{}")
        except ValueError:  # somebody has changed it by hand
            return value
    return value


def _messages(rows: Sequence[Row]) -> list[Json]:
    """Return the messages, each with who speaks, as the role of prompt and interviewer is one."""
    read = [as_read(row) for row in rows]
    prompt = next((row["id"] for row in rows if row["role"] == "system"), None)
    return [
        {
            "id": one["id"],
            "role": one["role"],
            "who": "prompt" if one["id"] == prompt else _WHO.get(one["role"], one["role"]),
            "content": one["content"],
            "created_at": one["date_created"],
            "is_finished": one["is_finished"],
        }
        for one in read
    ]


_WHO = {"system": "interviewer", "user": "applicant", "aside": "set aside"}


def _status(rows: Iterable[Row]) -> str:
    history = [Message(**row) for row in rows if row["role"] != "aside"]
    if is_finished(history):
        return "finished"
    return "started" if is_started(history) else "uninitiated"


def _scorecard(row: Row, rows: RowsByKey) -> Json:
    scorecard_id = row["id"]
    return {
        **as_read(row),
        "runs": list(map(as_read, rows["scorecard_runs"][scorecard_id])),
        "reviews": list(map(as_read, rows["scorecard_reviews"][scorecard_id])),
        "jobs": list(map(as_read, rows["jobs"][scorecard_id])),
    }


def _holds(covers: str, rows: Iterable[Row]) -> list[Json]:
    return [{"covers": covers, **as_read(row)} for row in rows]
