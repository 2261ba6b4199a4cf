"""Rows about a person in every table, and exports of them as clients get them."""

import io
import json
from collections.abc import Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from typing import Any
from zipfile import ZipFile

import jsonschema_rs

import scored
from api import Applicant
from config import APP_FOLDER
from db import Database, InterviewKey, Messages, Session, position_digest
from positions.queries import Positions, Rubrics, lock_of

Json = dict[str, Any]

AT = "2026-11-24 08:01:20.123456"
SHOWN_AT = "2026-11-24T08:01:20.123456Z"


def key_of(applicant: Applicant) -> InterviewKey:
    return InterviewKey(applicant.access_key, applicant.name, applicant.email)


def store_position(database: Database, access_key: str, words: str = "") -> None:
    """Store a position with two versions of its rubric, and three of its notice."""
    with database.transaction(lock_of(access_key)) as session:
        for number in (1, 2):
            Rubrics(session).add(access_key, str(number) * 64, {"criteria": [f"{words}{number}"]})
        Positions(session).put(
            access_key,
            title=f"{words} title",
            prompt=f"{words} prompt",
            is_open=True,
            time_limit=None,
            is_scored_automatically=False,
            rubric_version=2,
            notice_version=3,
            has_own_notice=True,
            is_consent_required=False,
            correction_hours=48,
            plan={"objective": f"{words} objective"},
            metadata={"job": words},
        )
        for number in (1, 2, 3):
            insert(
                session,
                "notices",
                position=position_digest(access_key),
                version=number,
                language="en",
                text=f"{words} notice {number}",
                created_at=AT,
            )


def store_person(database: Database, applicant: Applicant, words: str = "Words") -> str:
    """Store something about the person in every table, and return a scorecard's id.

    Every text that somebody could have written has the words in it.
    """
    interview = key_of(applicant)
    digest = interview.digest()
    named = {
        **interview._asdict(),
        "interview": digest,
        "position": position_digest(interview.access_key),
    }
    scorecard_id = f"{digest[:30]}01"
    criterion = {
        "id": "care",
        "title": f"{words} title",
        "state": "scored",
        "score": 4,
        "machine_state": "scored",
        "machine_score": 3,
        "runs": [3, 3, None],
        "unmasked_runs": [],
        "rationale": f"{words} rationale",
        "evidence": [
            {"message_id": 3, "start": 0, "end": 5, "quote": f"{words} q", "polarity": "supports"}
        ],
    }
    rubric = {"criteria": [scored.criterion("care")], "minCoverage": 0.5}
    with database.transaction(interview) as session:
        messages = Messages(session)
        messages.add(interview, "system", f"{words} prompt")
        messages.add(interview, "system", f"{words} question")
        said = messages.add(interview, "user", f"{words} answer")
        messages.add(interview, "system", f"{words} goodbye", is_finished=True)
        messages.set_aside(interview, said._replace(content=f"{words} set aside"))
        messages.remember_key(interview, "secret of the client", "f" * 64, said.id)
        add = Adding(session, named)
        add(
            "invitations",
            secret_sha256=digest,
            metadata=json.dumps({"id": words}),
            created_at="2026-11-24T08:00:00Z",
            expires_at="2026-12-08T08:00:00Z",
        )
        add("consents", version=2, accepted_at=AT)
        add("other_ways", asked_at=AT)
        add("corrections", message_id=said.id, note=f"{words} note", created_at=AT)
        add("scorecards", id=scorecard_id, transcript_sha256="0" * 64, rubric_version=1,
            scorer="1" * 64, state="scored", created_at=AT, finished_at=AT, total=3.5,
            coverage=1.0, scores=json.dumps({"care": 4}),
            result=json.dumps({"criteria": [criterion], "rejected_evidence": [
                {"criterion": "care", "message_id": 3, "quote": f"{words} no", "reason": "joined"}],
                "flags": [{"type": "injection_suspected", "message_id": 3, "start": 0, "end": 2}]}),
            record=json.dumps({"rubric": {"body": rubric}, "runs": [f"{words} run"]}))  # fmt: skip
        insert(session, "scorecard_runs", scorecard=scorecard_id, criterion="care", is_masked=1,
               run=2, answer=json.dumps({"answer": f"{words} of the model"}))  # fmt: skip
        insert(session, "scorecard_reviews", scorecard=scorecard_id, criterion="care", score=5,
               reason=f"{words} review", reviewer=f"{words} reviewer", created_at=AT)  # fmt: skip
        insert(session, "jobs", kind="score", subject=scorecard_id, due_at=1.5, attempts=2,
               lease="secret lease")  # fmt: skip
        add("decisions", decision="selected", reason=f"{words} reason",
            reviewer=f"{words} decider", created_at=AT)  # fmt: skip
        add("legal_holds", reason=f"{words} hold", held_by=f"{words} holder", created_at=AT)
        insert(session, "erasures", receipt_id=f"receipt {digest}", interview=digest,
               position=named["position"], erased_at=AT, counts='{"messages": 7}')  # fmt: skip
        insert(session, "audit_events", position=named["position"], at=AT, actor="system",
               action="interview.started", subject=digest, detail="")  # fmt: skip
        insert(session, "token_revocations", interview=digest, revocations=2)
    return scorecard_id


class Adding:
    """Rows that name the person."""

    def __init__(self, session: Session, named: Mapping[str, object]) -> None:
        self._session = session
        self._named = named

    def __call__(self, table: str, **values: object) -> None:
        insert(self._session, table, **self._named, **values)


def insert(session: Session, table: str, **values: object) -> None:
    parameters = ", ".join(f":{name}" for name in values)
    session.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({parameters})", values)


@cache
def schema() -> Any:
    text = (APP_FOLDER / "docs" / "export.schema.json").read_text()
    return jsonschema_rs.validator_for(json.loads(text))


def held(document: Json) -> Json:
    """The document, once it was held against its schema."""
    schema().validate(document)
    return document


def documents_in(text: str) -> Iterator[Json]:
    """The documents of an export of a position, each held against the schema."""
    for line in text.splitlines():
        yield held(json.loads(line))


def unpacked(data: bytes) -> dict[str, str]:
    """The files of an archive that is whole."""
    with ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


class Html(HTMLParser):
    """A page as a browser reads it: its elements with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data
