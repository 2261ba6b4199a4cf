"""What an export takes from each table, and what it leaves out, with the reason.

Every table of the schema is here, and every column; a test fails for one that is not.
"""

from typing import NamedTuple


class Table(NamedTuple):
    """A table with rows about a person."""

    name: str
    columns: str
    """Those that are exported, in the order of the document."""
    key: str
    """The column that says whose the row is: an interview's digest, or a scorecard's id."""
    order: str
    """The columns by which a person's rows are sorted."""


# Found by access key, name and e-mail address.
OF_NAMES = (
    Table("messages", "id, role, content, date_created, is_finished", "", "id"),
    Table("idempotency_keys", "message_id, request", "", "message_id, idempotency_key"),
)

# Found by the digest of the interview. A position's holds cover the interview as well.
OF_INTERVIEW = (
    Table("invitations", "created_at, expires_at, ended, metadata", "interview", "number"),
    Table("consents", "version, accepted_at", "interview", "number"),
    Table("other_ways", "asked_at", "interview", "number"),
    Table("corrections", "message_id, note, created_at", "interview", "number"),
    Table(
        "scorecards",
        "id, state, reason, created_at, finished_at, rubric_version, transcript_sha256, scorer,"
        " total, coverage, scores, result, record",
        "interview",
        "number",
    ),
    Table("decisions", "decision, reason, reviewer, created_at", "interview", "number"),
    Table(
        "legal_holds",
        "reason, held_by, created_at, ended_at, ended_by, end_reason",
        "interview",
        "number",
    ),
    Table("erasures", "receipt_id, erased_at, counts, wiped_at", "interview", "number"),
    Table("audit_events", "at, actor, action, detail, sequence, hash", "subject", "number"),
    Table("token_revocations", "revocations", "interview", "interview"),
)

# Found by the scorecards of the interview.
OF_SCORECARD = (
    Table(
        "scorecard_runs",
        "criterion, is_masked, run, answer",
        "scorecard",
        "scorecard, criterion, is_masked, run",
    ),
    Table(
        "scorecard_reviews", "criterion, score, reason, reviewer, created_at", "scorecard", "number"
    ),
)

# Found by the digest of the interview, or by its scorecards.
OF_EITHER = (Table("jobs", "kind, due_at, attempts", "subject", "id"),)

# Found by the digest of the position.
POSITION = Table(
    "positions",
    "title, is_open, time_limit, is_scored_automatically, is_consent_required, correction_hours,"
    " retention_days, retention_since, notice_version, rubric_version, prompt, body, created_at,"
    " updated_at",
    "position",
    "position",
)
RUBRICS = Table("rubrics", "version, sha256, rubric, created_at", "position", "version")
NOTICES = Table("notices", "version, language, text, created_at", "position", "version")

EXPORTED = (
    *OF_NAMES,
    *OF_INTERVIEW,
    *OF_SCORECARD,
    *OF_EITHER,
    *(POSITION, RUBRICS, NOTICES),
)

# Columns that no document has, whatever their table.
NAMES = "it is once at the head of the document"
LEFT_OUT_EVERYWHERE = {
    "access_key": NAMES,
    "name": NAMES,
    "email": NAMES,
    "interview": "the digest of the three names, once at the head of the document",
    "position": "the digest of the access key",
    "scorecard": "the scorecard that the row stands in",
    "subject": "the interview or the scorecard that the row stands in",
    "number": "the place in the table, which is the order in the document",
}
LEFT_OUT = {
    "messages.is_first": "marks the first row of each interview",
    "invitations.secret_sha256": "whoever knows it could tell whether a guess is the link",
    "idempotency_keys.idempotency_key": "the client's own: with it a request can be repeated",
    "jobs.id": "the place in the table",
    "jobs.lease": "whoever knows it could end the job",
    "positions.id": "the place in the table",
}
TABLES_LEFT_OUT = {
    "audit_heads": "ends of chains, each the hash of an event",
    "schema_version": "of the database itself",
    "sqlite_sequence": "of the database itself",
}

# Columns whose text is JSON, and columns whose text is a time.
AS_JSON = frozenset(
    {"metadata", "scores", "result", "record", "answer", "counts", "detail", "rubric", "body"}
)
AS_TIME = frozenset(
    {
        *("at", "date_created", "created_at", "updated_at", "finished_at", "accepted_at"),
        *("asked_at", "erased_at", "wiped_at", "ended_at", "expires_at", "retention_since"),
    }
)
