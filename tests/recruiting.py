"""Positions as recruiters put them, for the tests."""

import json
from typing import Any
from urllib.parse import quote

from api import Answer, Api

QUESTIONS: list[dict[str, Any]] = [
    {"text": "Tell me about a night on which several patients got worse.", "followUps": 2},
    {"text": "What do you do when a doctor does not come?", "followUps": 0},
    {"text": "How do you hand over?"},
]
PLAN: dict[str, Any] = {
    "objective": "Find out whether the applicant can lead a night shift.",
    "questions": QUESTIONS,
    "language": "Español",
}


def criterion(id_: str = "judgement", **fields: Any) -> dict[str, Any]:
    """A criterion that is accepted."""
    return {
        "id": id_,
        "title": "Judgement",
        "definition": "Sees what is urgent.",
        "anchors": {"1": "Names no order.", "3": "Names an order.", "5": "Names signs and why."},
        **fields,
    }


def rubric(*criteria: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A rubric that is accepted."""
    return {"criteria": list(criteria or [criterion()]), **fields}


def put(api: Api, access_key: str = "job-1", **fields: Any) -> Answer:
    """Put a position; without other fields it has a prompt and nothing else."""
    body = {"title": "Nurse", **fields}
    if not {"prompt", "plan"} & set(fields):
        body["prompt"] = "You interview a nurse."
    return api.send(
        "PUT",
        f"/positions/{quote(access_key, safe='')}",
        data=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )


def position(api: Api, access_key: str = "job-1") -> dict[str, Any]:
    """The position as it is read."""
    answer = api.get(f"/positions/{quote(access_key, safe='')}")
    assert answer.status == 200
    found: dict[str, Any] = answer.body["position"]
    return found
