"""The endpoint by which people record what they decide about applicants."""

from typing import TYPE_CHECKING

from flask import Blueprint

from access.guard import key_needed
from db import AuditTrail, InterviewKey, as_clients_read
from records.errors import UnknownApplicant
from web.bodies import Json, checked
from web.fields import MAX_DECISION_CHARS, interview_and_fields
from web.service import service

if TYPE_CHECKING:
    from records.bodies import DecisionBody
    from records.queries import Decision

records = Blueprint("records", __name__)


@records.post("/decide")
@key_needed
def decide() -> Json:
    """Store a decision about an applicant, and answer with all that there are, oldest first."""
    from records.bodies import DecisionBody

    interview, fields = interview_and_fields(MAX_DECISION_CHARS)
    decisions = record(interview, checked(DecisionBody, fields))
    return {"status": "success", "decisions": [decision_json(one) for one in decisions]}


def record(interview: InterviewKey, body: "DecisionBody") -> "list[Decision]":
    """Store a decision, and return all about the applicant, oldest first.

    Raises:
        UnknownApplicant: Nobody has invited or heard them.

    """
    from records.queries import Decisions

    with service().database.transaction(interview) as session:
        decisions = Decisions(session)
        if not decisions.knows(interview):
            raise UnknownApplicant
        earlier = decisions.of(interview)
        made = decisions.add(interview, body.decision, body.reason, body.reviewer)
        AuditTrail(session).add(
            interview.access_key, "decision.made", interview, decision=body.decision
        )
    return [*earlier, made]


def decision_json(decision: "Decision") -> Json:
    """Return a decision as clients read it."""
    return {**decision._asdict(), "created_at": as_clients_read(decision.created_at)}
