"""The endpoint by which recruiters read the audit trail of an access key: a page, or all as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Blueprint, Response, jsonify, request

from access.guard import key_needed
from db import Database, position_digest
from records.audit_chain import link_if_possible
from records.audit_queries import AuditChains, Event
from web.bodies import Json
from web.errors import BadField
from web.fields import access_key_of_path, whole_number_of_query
from web.service import service

audit = Blueprint("audit", __name__)

EVENTS_IN_PAGE = 100
MAX_EVENTS = 1000

# The largest place that an event may be asked for after.
MAX_PLACE = 10**15

CSV = "text/csv"
COLUMNS = ("id", "at", "actor", "action", "subject", "detail", "hash")


@audit.get("/audit/<access_key>")
@key_needed
def get_audit(access_key: str) -> Response:
    """Answer with events, oldest first: a page of them in JSON, or all that follow as CSV."""
    position = position_digest(access_key_of_path(access_key))
    after = whole_number_of_query("after", 0, 0, MAX_PLACE)
    limit = whole_number_of_query("limit", EVENTS_IN_PAGE, 1, MAX_EVENTS)
    link_if_possible(service().database, position)
    if _wants_csv():
        response = as_csv(position, after, limit if "limit" in request.args else None)
    else:
        with service().database.reading() as session:
            events = AuditChains(session).page(position, after, limit)
        response = jsonify(status="success", events=list(map(event_json, events)))
    response.vary.add("Accept")
    return response


def event_json(event: Event) -> Json:
    """Return an event as clients read it."""
    return {
        "id": event.sequence,
        "at": event.at,
        "actor": event.actor,
        "action": event.action,
        "subject": event.subject,
        "detail": _detail(event.detail),
        "hash": event.hash,
    }


def as_csv(position: str, after: int = 0, limit: int | None = None) -> Response:
    """Answer with events as a file of CSV, which is read and sent piece by piece."""
    lines = _csv_lines(service().database, position, after, limit)
    response = Response(lines, content_type=f"{CSV}; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response


def _wants_csv() -> bool:
    wanted = request.args.get("format")
    if wanted not in (None, "csv", "json"):
        raise BadField("format must be csv or json.")
    if wanted is not None:
        return wanted == "csv"
    return request.accept_mimetypes.best_match(["application/json", CSV]) == CSV


def _detail(text: str) -> Any:  # noqa: ANN401  # of JSON
    try:
        return json.loads(text or "{}")
    except ValueError:  # somebody has changed it, which the verification finds
        return {}


def _csv_lines(database: Database, position: str, after: int, limit: int | None) -> Iterator[str]:
    yield _csv([COLUMNS])
    left = limit
    while left is None or left > 0:
        with database.reading() as session:
            size = MAX_EVENTS if left is None else min(left, MAX_EVENTS)
            events = AuditChains(session).page(position, after, size)
        if not events:
            return
        yield _csv(
            (one.sequence, one.at, one.actor, one.action, one.subject, one.detail, one.hash)
            for one in events
        )
        after = events[-1].sequence or 0
        left = None if left is None else left - len(events)


def _csv(rows: Iterable[Iterable[object]]) -> str:
    from scorecards.views import cell

    text = io.StringIO()
    csv.writer(text).writerows(map(cell, row) for row in rows)
    return text.getvalue()
