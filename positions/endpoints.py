"""The endpoints of positions, and of drafts of their rubrics.

What loads pydantic is imported where it is used: a service without positions does without it.
"""

import time
from typing import TYPE_CHECKING

from flask import Blueprint

from access.guard import key_needed
from db import AuditTrail, PositionTerms, Session, as_clients_read
from positions.errors import NoPosition
from positions.notices import store_notice
from positions.queries import (
    CORRECTION_HOURS,
    Positions,
    Rubrics,
    StoredPosition,
    lock_of,
)
from positions.retention import Retentions
from web.bodies import Json, body_as, bytes_for
from web.errors import BadField
from web.fields import (
    access_key_of_body,
    access_key_of_path,
    new_access_key_of_path,
    page_of_positions,
)
from web.service import service

if TYPE_CHECKING:
    from positions.position import PositionBody

positions = Blueprint("positions", __name__)


@positions.put("/positions/<access_key>")
@key_needed
def put_position(access_key: str) -> Json:
    """Store the position as a whole, and answer with it."""
    from positions.position import MAX_CHARS_BESIDE_PROMPT, PositionBody

    access_key = new_access_key_of_path(access_key)
    max_chars = MAX_CHARS_BESIDE_PROMPT + service().config.max_prompt_chars
    body = body_as(PositionBody, bytes_for(max_chars))
    return {"status": "success", "position": _shown(put(access_key, body))}


@positions.get("/positions/<access_key>")
@key_needed
def get_position(access_key: str) -> Json:
    """Answer with the position."""
    return {"status": "success", "position": _shown(position_of(access_key_of_path(access_key)))}


@positions.get("/positions")
@key_needed
def get_positions() -> Json:
    """Answer with the positions, the newest first, and how many interviews each has."""
    limit, after = page_of_positions()
    with service().database.reading() as session:
        rows = Positions(session).page(limit, after)
    if rows is None:
        raise NoPosition
    return {
        "status": "success",
        "positions": [
            {
                "access_key": row.access_key,
                "title": row.title,
                "isOpen": row.is_open,
                "applicants": row.applicants,
                "finished": row.finished,
                "scored": row.scored,
            }
            for row in rows
        ],
    }


@positions.post("/draft_rubric")
@key_needed
def draft_rubric() -> Json:
    """Answer with a rubric that the model proposes for the position; it is stored nowhere."""
    from positions.drafting import draft

    access_key = access_key_of_body()
    service().limits.count_score(access_key)
    position = position_of(access_key)
    deadline = time.monotonic() + service().config.reply_deadline
    return {"status": "success", "rubric": draft(position, service().llm, deadline)}


def position_of(access_key: str) -> StoredPosition:
    """Return the position.

    Raises:
        NoPosition: There is none.

    """
    with service().database.reading() as session:
        return _stored(session, access_key)


def _stored(session: Session, access_key: str) -> StoredPosition:
    position = Positions(session).get(access_key)
    if position is None:
        raise NoPosition
    return position


def put(access_key: str, body: "PositionBody") -> StoredPosition:
    """Store the position as a whole, and return it.

    Raises:
        BadField: Its prompt is too long.

    """
    from positions.position import json_of, rubric_sha256

    prompt = _prompt(body)
    is_open = body.is_open is not False
    notice = _notice(body)
    with service().database.transaction(lock_of(access_key)) as session:
        terms = PositionTerms(session).of(access_key)
        rubric_version = None
        if body.rubric is not None:
            sha256 = rubric_sha256(body.rubric)
            rubric_version = Rubrics(session).add(access_key, sha256, json_of(body.rubric))
        notice_version = store_notice(session, access_key, *notice)
        Positions(session).put(
            access_key,
            title=body.title,
            prompt=prompt,
            is_open=is_open,
            time_limit=body.time_limit,
            is_scored_automatically=body.scoring == "automatic",
            rubric_version=rubric_version,
            notice_version=notice_version,
            has_own_notice=body.notice is not None,
            is_consent_required=body.consent_required is True,
            correction_hours=_correction_hours(body),
            plan=None if body.plan is None else json_of(body.plan),
            metadata=body.metadata or {},
        )
        AuditTrail(session).add(
            access_key,
            "position.put",
            rubric_version=rubric_version,
            notice_version=notice_version,
            retention_days=body.retention_days,
        )
        if is_open != (terms is None or terms.is_open):
            note_opening(session, access_key, is_open=is_open)
        Retentions(session).put(access_key, body.retention_days)
        return _stored(session, access_key)


def note_opening(session: Session, access_key: str, *, is_open: bool) -> None:
    """Add to the audit trail that the position was opened, or closed."""
    AuditTrail(session).add(access_key, "position.opened" if is_open else "position.closed")


def _prompt(body: "PositionBody") -> str:
    """Return the prompt that the position has from now on.

    Raises:
        BadField: It is longer than a prompt may be.

    """
    from positions.prompt import prompt_of

    config = service().config
    prompt = body.prompt or ""
    if body.plan is not None:
        prompt = prompt_of(body.plan, config.closing_phrase)
    if len(prompt) <= config.max_prompt_chars:
        return prompt
    if body.plan is None:
        raise BadField(f"prompt must not be longer than {config.max_prompt_chars} characters.")
    raise BadField(
        f"plan must not make a prompt of more than {config.max_prompt_chars} characters;"
        f" it makes one of {len(prompt)}."
    )


def _notice(body: "PositionBody") -> tuple[str, str]:
    """Return the language and the text of the notice that the position has from now on."""
    from positions.default_notice import default_notice

    if body.notice is not None:
        return body.notice.language, body.notice.text
    return default_notice(
        body.plan.language if body.plan else None,
        is_rated=body.rubric is not None,
        correction_hours=_correction_hours(body),
        retention_days=body.retention_days,
        contact=service().config.contact,
    )


def _correction_hours(body: "PositionBody") -> int:
    return CORRECTION_HOURS if body.correction_hours is None else body.correction_hours


def _shown(position: StoredPosition) -> Json:
    rubric = position.rubric
    notice = position.notice if position.has_own_notice else None
    return {
        "access_key": position.access_key,
        "title": position.title,
        "prompt": position.prompt,
        "plan": position.plan,
        "rubric": rubric and rubric.body,
        "rubricVersion": rubric and rubric.version,
        "rubricSha256": rubric and rubric.sha256,
        "scoring": "automatic" if position.is_scored_automatically else "manual",
        "timeLimit": position.time_limit,
        "isOpen": position.is_open,
        "notice": notice and {"text": notice.text, "language": notice.language},
        "noticeVersion": position.notice and position.notice.version,
        "consentRequired": position.is_consent_required,
        "correctionHours": position.correction_hours,
        "retentionDays": position.retention_days,
        "metadata": position.metadata,
        "created_at": as_clients_read(position.created_at),
        "updated_at": as_clients_read(position.updated_at),
    }
