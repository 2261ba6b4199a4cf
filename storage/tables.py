"""The tables of all but interviews themselves, written once for both databases.

The tables of interviews differ between the two, and are in their `schema.py`. Here a position and
an interview are named by their digests (`storage/rows.py`), of 64 characters: an entry of an index
in PostgreSQL holds no more than 2,704 bytes, and names may be longer.
"""

from collections.abc import Iterable

# `{id}` is the type of a key that the database counts up, `{text}` that of text compared byte by
# byte, `{number}` that of a floating-point number.

# A position as it is now. Its prompt and its terms are columns of their own, as every start and
# reply needs them; the rest of what a recruiter has put is in `body`, as JSON.
POSITIONS = """
    CREATE TABLE positions (
        id {id},
        position {text} NOT NULL UNIQUE,
        access_key {text} NOT NULL,
        title {text} NOT NULL,
        prompt {text} NOT NULL,
        is_open INTEGER NOT NULL,
        time_limit INTEGER,
        is_scored_automatically INTEGER NOT NULL,
        rubric_version INTEGER,
        body {text} NOT NULL,
        created_at {text} NOT NULL,
        updated_at {text} NOT NULL
    )
"""

# Every version of a position's rubric; none ever changes.
RUBRICS = """
    CREATE TABLE rubrics (
        position {text} NOT NULL,
        version INTEGER NOT NULL,
        sha256 {text} NOT NULL,
        rubric {text} NOT NULL,
        created_at {text} NOT NULL,
        PRIMARY KEY (position, version)
    )
"""

# A scorecard is made once and never replaced. `total`, `coverage` and `scores` follow the reviews,
# so that a position's applicants can be compared without reading the rest.
SCORECARDS = """
    CREATE TABLE scorecards (
        number {id},
        id {text} NOT NULL UNIQUE,
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        transcript_sha256 {text} NOT NULL,
        rubric_version INTEGER NOT NULL,
        scorer {text} NOT NULL,
        state {text} NOT NULL,
        reason {text},
        created_at {text} NOT NULL,
        finished_at {text},
        total {number},
        coverage {number},
        scores {text},
        result {text},
        record {text}
    )
"""
SCORECARDS_INTERVIEW = "CREATE INDEX scorecards_interview ON scorecards (interview, number)"
# With what lists and counts of a position need, as each row of the table is large.
SCORECARDS_POSITION = """
    CREATE INDEX scorecards_position ON scorecards (position, number, state, interview, total)
"""

# What the model answered in each run, stored as it comes: after a crash, no run is asked for twice.
SCORECARD_RUNS = """
    CREATE TABLE scorecard_runs (
        scorecard {text} NOT NULL,
        criterion {text} NOT NULL,
        is_masked INTEGER NOT NULL,
        run INTEGER NOT NULL,
        answer {text} NOT NULL,
        PRIMARY KEY (scorecard, criterion, is_masked, run)
    )
"""

SCORECARD_REVIEWS = """
    CREATE TABLE scorecard_reviews (
        number {id},
        scorecard {text} NOT NULL,
        criterion {text} NOT NULL,
        score INTEGER,
        reason {text} NOT NULL,
        reviewer {text} NOT NULL,
        created_at {text} NOT NULL
    )
"""
SCORECARD_REVIEWS_INDEX = (
    "CREATE INDEX scorecard_reviews_scorecard ON scorecard_reviews (scorecard, number)"
)

# Work to be done in the background. `due_at` is when it may be claimed, in seconds since 1970 by
# the database's clock; whoever claims it moves that into the future, as a lease.
JOBS = """
    CREATE TABLE jobs (
        id {id},
        kind {text} NOT NULL,
        subject {text} NOT NULL,
        due_at {number} NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        lease {text},
        UNIQUE (kind, subject)
    )
"""
JOBS_INDEX = "CREATE INDEX jobs_due ON jobs (kind, due_at)"

TABLES = (
    POSITIONS,
    RUBRICS,
    SCORECARDS,
    SCORECARDS_INTERVIEW,
    SCORECARDS_POSITION,
    SCORECARD_RUNS,
    SCORECARD_REVIEWS,
    SCORECARD_REVIEWS_INDEX,
    JOBS,
    JOBS_INDEX,
)

# An applicant's link, found by the SHA-256 of its secret. Of an interview's invitations all but the
# newest have ended as `replaced`; `revoked` are those that a recruiter has taken back.
INVITATIONS = """
    CREATE TABLE invitations (
        number {id},
        secret_sha256 {text} NOT NULL UNIQUE,
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        metadata {text} NOT NULL,
        created_at {text} NOT NULL,
        expires_at {text} NOT NULL,
        ended {text}
    )
"""
INVITATIONS_INTERVIEW = "CREATE INDEX invitations_interview ON invitations (interview, number)"
INVITATIONS_POSITION = "CREATE INDEX invitations_position ON invitations (position, number)"

# What people have decided about an applicant, one row each time; the newest counts.
DECISIONS = """
    CREATE TABLE decisions (
        number {id},
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        decision {text} NOT NULL,
        reason {text} NOT NULL,
        reviewer {text} NOT NULL,
        created_at {text} NOT NULL
    )
"""
DECISIONS_INTERVIEW = "CREATE INDEX decisions_interview ON decisions (interview, number)"
DECISIONS_POSITION = "CREATE INDEX decisions_position ON decisions (position, number)"

# The tables of the schema's next version.
TABLES_OF_ROOMS = (
    INVITATIONS,
    INVITATIONS_INTERVIEW,
    INVITATIONS_POSITION,
    DECISIONS,
    DECISIONS_INTERVIEW,
    DECISIONS_POSITION,
)


def written_for(
    statements: Iterable[str], *, id_type: str, text_type: str, number_type: str
) -> tuple[str, ...]:
    """Return the statements with a database's own types."""
    return tuple(
        statement.format(id=id_type, text=text_type, number=number_type) for statement in statements
    )
