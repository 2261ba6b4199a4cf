"""The queries of explanations: which records of an interview one is made from."""

import json

from db import InterviewKey, Session, position_digest

# Hours for which applicants may add notes, where no position says otherwise.
CORRECTION_HOURS = 48


class ExplainedRecords:
    """The records of an interview that only its explanation asks for."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def scorecard_before(self, interview: InterviewKey, moment: str | None) -> str | None:
        """Return the id of the newest scorecard with a result; None if there is none.

        Args:
            interview: What was rated.
            moment: A stored time, before which it was finished; None for any.

        """
        before = "" if moment is None else "AND finished_at <= :moment"
        row = self._execute(
            "SELECT id FROM scorecards WHERE interview = :interview"
            f" AND state IN ('scored', 'needs_review') {before} ORDER BY number DESC LIMIT 1",
            {"interview": interview.digest(), "moment": moment},
        ).fetchone()
        return row[0] if row else None

    def models(self, interview: InterviewKey) -> list[str]:
        """Return the models that the audit trail names: those of the opening and of the end."""
        rows = self._execute(
            "SELECT detail FROM audit_events WHERE subject = :subject"
            " AND action IN ('interview.started', 'interview.finished') ORDER BY at, number",
            {"subject": interview.digest()},
        )
        named = [_model(detail) for (detail,) in rows.fetchall()]
        return list(dict.fromkeys(filter(None, named)))

    def correction_hours(self, access_key: str) -> int:
        """Return for how many hours after the end applicants may add notes to their messages."""
        row = self._execute(
            "SELECT correction_hours FROM positions WHERE position = :position",
            {"position": position_digest(access_key)},
        ).fetchone()
        return int(row[0]) if row else CORRECTION_HOURS


def _model(detail: str) -> str | None:
    try:
        model = json.loads(detail or "{}")["model"]
    except (KeyError, TypeError, ValueError):  # it names none, or somebody has changed it
        return None
    return str(model)
