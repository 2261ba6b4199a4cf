"""Positions, finished interviews and scorecards, as tests need them."""

import json
from collections.abc import Mapping
from secrets import token_hex
from statistics import median_low
from typing import Any
from urllib.parse import quote

from api import ANA, PROMPT, Api, Applicant
from db import Database, InterviewKey
from openai_api.rehearsal import Behaviour, Rehearsal
from scorecards.queries import Counting, Scorecards
from waiting import wait_until

Json = Any
CLOSING = "That was my last question. Thank you for your time and insights."


def criterion(criterion_id: str, weight: float = 1) -> Json:
    return {
        "id": criterion_id,
        "title": criterion_id.replace("_", " ").capitalize(),
        "definition": f"What the applicant shows of {criterion_id}.",
        "weight": weight,
        "anchors": {
            "1": f"Nothing of {criterion_id}.",
            "3": f"Some {criterion_id}.",
            "5": f"All of {criterion_id}.",
        },
    }


RUBRIC: Json = {
    "criteria": [criterion("judgement"), criterion("teamwork")],
    "minCoverage": 0.6,
    "weightsRationale": None,
}


def put_position(
    api: Api, access_key: str = ANA.access_key, rubric: Json = RUBRIC, **fields: Any
) -> None:
    body = {"title": "Nurse", "prompt": PROMPT, "rubric": rubric, **fields}
    answer = api.send(
        "PUT",
        f"/positions/{quote(access_key, safe='')}",
        data=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status == 200, answer


def hold(api: Api, rehearsal: Rehearsal, *said: str, applicant: Applicant = ANA) -> list[Json]:
    """Hold an interview in which the applicant says this, and return its messages."""
    assert api.start(applicant).status == 200
    for number, message in enumerate(said, 1):
        if number == len(said):
            rehearsal.misbehave(Behaviour(message={"content": CLOSING}))
        assert api.reply(message, applicant).status == 200
    assert api.status(applicant) == "finished"
    return api.messages(applicant)


def request_scorecard(api: Api, applicant: Applicant = ANA, **fields: Any) -> str:
    """Ask for a scorecard, and return the id of the one that is pending."""
    answer = api.post("/score_interview", {**applicant.fields, **fields})
    assert answer.status == 202, answer
    scorecard_id: str = answer.body["scorecard_id"]
    return scorecard_id


def scorecard(api: Api, applicant: Applicant = ANA, scorecard_id: str = "") -> Json:
    """The scorecard as it is now, once each of its quotes was found where it says."""
    query = f"?id={scorecard_id}" if scorecard_id else ""
    answer = api.get(f"/get_scorecard/{applicant.path}{query}")
    assert answer.status == 200, answer
    found = answer.body["scorecard"]
    if found["criteria"]:
        hold_to_transcript(found, api.messages(applicant))
    return found


def finished(api: Api, applicant: Applicant = ANA, scorecard_id: str = "") -> Json:
    """The scorecard, once it is no longer pending."""

    def look() -> Json | None:
        found = scorecard(api, applicant, scorecard_id)
        return found if found["state"] != "pending" else None

    return wait_until(look)


def scored(api: Api, applicant: Applicant = ANA, **fields: Any) -> Json:
    """Ask for a scorecard, and return it once it is finished."""
    return finished(api, applicant, request_scorecard(api, applicant, **fields))


def hold_to_transcript(found: Json, messages: list[Json]) -> None:
    said = {m["id"]: m["content"] for m in messages if m["role"] == "user"}
    for one in found["criteria"]:
        for evidence in one["evidence"]:
            content = said[evidence["message_id"]]
            assert content[evidence["start"] : evidence["end"]] == evidence["quote"]
        if one["machine_score"] is not None:
            assert one["evidence"]
    for flag in found["flags"]:
        assert 0 <= flag["start"] < flag["end"] <= len(said[flag["message_id"]])


def store_scorecard(
    database: Database,
    applicant: Applicant,
    runs: Mapping[str, tuple[int | None, ...]],
    *,
    total: float | None = None,
    rubric: Json = RUBRIC,
    rubric_version: int = 1,
) -> str:
    """Store a finished scorecard whose runs came to this, and return its id."""
    scorecard_id = token_hex(16)
    interview = InterviewKey(applicant.access_key, applicant.name, applicant.email)
    criteria = [_criterion(one, scores) for one, scores in runs.items()]
    scores = {one["id"]: one["score"] for one in criteria}
    is_open = any(one["state"] == "needs_review" for one in criteria)
    result = {"criteria": criteria, "flags": [], "rejected_evidence": []}
    record = {
        "transcript_sha256": "0" * 64,
        "rubric": {"version": rubric_version, "sha256": "0" * 64, "body": rubric},
        "scorer": {"models": ["m"], "runs": 3, "prompt_version": 1, "prompt_sha256": "0" * 64},
        "runs": [],
    }
    with database.transaction(interview) as session:
        scorecards = Scorecards(session)
        scorecards.add(scorecard_id, interview, "0" * 64, rubric_version, "0" * 64, record)
        counting = Counting("needs_review" if is_open else "scored", total, 1.0, scores)
        scorecards.finish(scorecard_id, counting, result, record)
    return scorecard_id


def _criterion(criterion_id: str, runs: tuple[int | None, ...]) -> Json:
    scores = [score for score in runs if score is not None]
    state = "scored" if scores else "insufficient_evidence"
    if scores and max(scores) - min(scores) >= 2:
        state = "needs_review"
    median = median_low(scores) if scores else None
    return {
        "id": criterion_id,
        "title": criterion_id,
        "state": state,
        "score": median if state == "scored" else None,
        "runs": list(runs),
        "unmasked_runs": [],
        "rationale": "",
        "evidence": [],
        "machine_state": state,
        "machine_score": median,
    }
