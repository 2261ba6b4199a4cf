"""Thousands of interviews at once, stored without the service."""

import json

from db import Database, InterviewKey, position_digest

AT = "2026-11-24 08:01:20.123456"

RECORD = json.dumps({"runs": [{"answer": "The applicant says what was done. " * 12}] * 3})
RESULT = json.dumps({"criteria": [], "flags": [], "rejected_evidence": []})


def store_interviews(database: Database, access_key: str, count: int) -> None:
    """Store finished interviews of six messages each, with scorecard, invitation and decision."""
    for start in range(0, count, 500):
        with database.transaction() as session:
            for number in range(start, min(start + 500, count)):
                interview = InterviewKey(
                    access_key, f"Applicant {number}", f"a{number}@example.com"
                )
                values = {
                    **interview._asdict(),
                    "interview": interview.digest(),
                    "position": position_digest(access_key),
                    "at": AT,
                }
                for place in range(6):
                    session.execute(
                        "INSERT INTO messages (role, content, date_created, is_finished,"
                        " access_key, name, email) VALUES (:role, :content, :at, :is_finished,"
                        " :access_key, :name, :email)",
                        {
                            **values,
                            "role": "user" if place in (2, 4) else "system",
                            "content": f"Message {place} of {number}. " * 20,
                            "is_finished": int(place == 5),
                        },
                    )
                session.execute(
                    "INSERT INTO invitations (secret_sha256, interview, position, access_key,"
                    " name, email, metadata, created_at, expires_at) VALUES (:interview,"
                    " :interview, :position, :access_key, :name, :email, '{}', :at, :at)",
                    values,
                )
                session.execute(
                    "INSERT INTO scorecards (id, interview, position, access_key, name, email,"
                    " transcript_sha256, rubric_version, scorer, state, created_at, finished_at,"
                    " total, coverage, scores, result, record) VALUES (:id, :interview, :position,"
                    " :access_key, :name, :email, '', 1, '', 'scored', :at, :at, :total, 1, '{}',"
                    " :result, :record)",
                    {
                        **values,
                        "id": interview.digest()[:32],
                        "total": 1 + number % 5,
                        "result": RESULT,
                        "record": RECORD,
                    },
                )
                session.execute(
                    "INSERT INTO decisions (interview, position, access_key, name, email,"
                    " decision, reason, reviewer, created_at) VALUES (:interview, :position,"
                    " :access_key, :name, :email, 'selected', 'As seen.', 'B. Okafor', :at)",
                    values,
                )
