"""Interviews and a rubric to be rated."""

from typing import Any

from db import InterviewKey
from interviews.history import TranscriptMessage

ANA = InterviewKey("job-1", "Ana María", "ana+jobs@example.com")

CRITERION: dict[str, Any] = {
    "id": "own_part",
    "title": "Own part",
    "definition": "Says what they did themselves.",
    "weight": 1,
    "anchors": {"1": "Speaks of others.", "3": "Names a task.", "5": "Names task and result."},
}

RUBRIC: dict[str, Any] = {
    "criteria": [
        CRITERION,
        {**CRITERION, "id": "learning", "title": "Learning", "definition": "Says what changed."},
    ],
    "minCoverage": 0.6,
    "weightsRationale": None,
}


def interview(*texts: str, first_id: int = 2) -> list[TranscriptMessage]:
    """The transcript without its prompt: the interviewer's words and the applicant's in turn."""
    return [
        TranscriptMessage(
            first_id + number, text, "2026-11-01 10:00:00", "user" if number % 2 else "system"
        )
        for number, text in enumerate(texts)
    ]


GOOD = interview(
    "Hello Ana, please tell me about a piece of work.",
    "I'm Ana María. I moved our ward's rota into one shared plan of 40 nurses.",
    "What went wrong, Ana?",
    "The first plan left two nights empty. I called both teams and we changed it the same day.",
    "Thank you for your time and insights.",
)

SHORT = interview(
    "Hello, please tell me about a piece of work.",
    "Worked on a ward.",
    "Thank you for your time and insights.",
)

SILENT = interview(
    "Hello, please tell me about a piece of work.",
    "Yes.",
    "Thank you for your time and insights.",
)
