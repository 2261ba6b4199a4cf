"""The audit trail as tests read it."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from api import ANA, Api, Applicant
from db import AuditTrail, Database, InterviewKey, position_digest
from records.audit_verification import Verification

Json = Any
NONE = "0" * 64


def subject_of(applicant: Applicant = ANA) -> str:
    return sha256("\0".join(applicant.fields.values()).encode()).hexdigest()


def trail(api: Api, access_key: str = ANA.access_key, headers: Json = None) -> list[Json]:
    """Every event, page by page, once the chain has been computed again from what clients read."""
    events: list[Json] = []
    while True:
        after = events[-1]["id"] if events else 0
        answer = api.send("GET", f"/audit/{access_key}?after={after}", headers=headers or {})
        assert answer.status == 200, answer
        events += answer.body["events"]
        if len(answer.body["events"]) < 100:
            break
    previous = NONE
    for number, event in enumerate(events, 1):
        assert event["id"] == number
        assert event["hash"] == hash_of(event, previous, access_key)
        previous = event["hash"]
    return events


def hash_of(event: Json, previous: str, access_key: str = ANA.access_key) -> str:
    """The hash as docs/records.md says that it is taken."""
    position = sha256(access_key.encode()).hexdigest()
    detail = json.dumps(event["detail"], sort_keys=True, separators=(",", ":"))
    parts = [event[name] for name in ("at", "actor", "action", "subject")]
    text = json.dumps(
        [previous, event["id"], position, *parts, detail if event["detail"] else ""],
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return sha256(text.encode()).hexdigest()


def told(events: list[Json]) -> list[tuple[str, str]]:
    """Who has done what."""
    return [(event["actor"], event["action"]) for event in events]


def problems(
    database: Database, access_key: str = ANA.access_key, kept: Mapping[int, str] | None = None
) -> list[str]:
    return list(Verification(database, position_digest(access_key), kept or {}).problems())


def add_events(database: Database, count: int, access_key: str = ANA.access_key) -> None:
    """Add events about two applicants in turn, each in a transaction of its own."""
    for number in range(count):
        interview = InterviewKey(access_key, f"Ana {number % 2}", "ana@example.com")
        with database.transaction() as session:
            AuditTrail(session).add(access_key, "transcript.read", interview, number=number)


def change(database: Database, statement: str, **values: object) -> None:
    """Do what only somebody who has the database can do."""
    with database.transaction() as session:
        session.execute(statement, {"position": position_digest(ANA.access_key), **values})


def without_times(lines: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", lines)
