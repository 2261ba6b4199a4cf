"""What applicants do about their own interview, as their pages call it."""

from typing import Any
from urllib.parse import urlencode

from api import ANA, Answer, Api, Applicant
from config import Config
from db import InterviewKey, open_database
from openai_api.rehearsal import SCRIPT, Behaviour, Rehearsal


def notice(
    api: Api, applicant: Applicant | None = None, access_key: str = "job-1", **query: Any
) -> Answer:
    if applicant is not None:
        query |= {"name": applicant.name, "email": applicant.email}
    return api.get(f"/notice/{access_key}?{urlencode(query)}")


def consent(api: Api, version: Any, applicant: Applicant = ANA) -> Answer:
    return api.post("/consent", {**applicant.fields, "version": version})


def ask(api: Api, applicant: Applicant = ANA) -> Answer:
    return api.post("/another_way", applicant.fields)


def correct(api: Api, message_id: Any, note: Any, applicant: Applicant = ANA) -> Answer:
    body = {**applicant.fields, "message_id": message_id, "note": note}
    return api.post("/correct_message", body)


def hold(api: Api, rehearsal: Rehearsal, *said: str, applicant: Applicant = ANA) -> list[Any]:
    """Hold an interview to its end, and return the applicant's messages."""
    assert api.start(applicant).status == 200
    for text in said[:-1]:
        assert api.reply(text, applicant).status == 200
    rehearsal.misbehave(Behaviour(message={"content": SCRIPT[-1]}))
    assert api.reply(said[-1], applicant).status == 200
    assert api.status(applicant) == "finished"
    return [message for message in api.messages(applicant) if message["role"] == "user"]


def in_database(config: Config, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run a query by itself, and return its rows."""
    database = open_database(config)
    try:
        with database.transaction() as session:
            rows = session.execute(query, values)
            return rows.fetchall() if query.startswith("SELECT") else []
    finally:
        database.close()


def events(config: Config, action: str) -> list[tuple[str, str]]:
    """Subject and detail of what the audit trail has of one action."""
    rows = in_database(
        config,
        "SELECT subject, detail FROM audit_events WHERE action = :action ORDER BY number",
        action=action,
    )
    return [(subject, detail) for subject, detail in rows]


def digest(applicant: Applicant) -> str:
    return InterviewKey(*applicant.fields.values()).digest()


def ended(config: Config, before: str, applicant: Applicant = ANA) -> None:
    """Let an interview have ended at a time, as it is stored."""
    in_database(
        config,
        "UPDATE messages SET date_created = :before WHERE is_finished = 1 AND name = :name",
        before=before,
        name=applicant.name,
    )
