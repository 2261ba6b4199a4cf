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


# What a position lays down for the records of its interviews. `notice_version` is NULL until the
# position's first notice is stored, `retention_days` where nothing is erased by its age.
POSITIONS_CONSENT = (
    "ALTER TABLE positions ADD COLUMN is_consent_required INTEGER NOT NULL DEFAULT 0"
)
POSITIONS_NOTICE = "ALTER TABLE positions ADD COLUMN notice_version INTEGER"
POSITIONS_CORRECTION = (
    "ALTER TABLE positions ADD COLUMN correction_hours INTEGER NOT NULL DEFAULT 48"
)
POSITIONS_RETENTION = "ALTER TABLE positions ADD COLUMN retention_days INTEGER"
# Since when they are kept for so short.
POSITIONS_RETENTION_SINCE = "ALTER TABLE positions ADD COLUMN retention_since {text}"

# Every version of what a position's applicants are told before they start; none ever changes.
NOTICES = """
    CREATE TABLE notices (
        position {text} NOT NULL,
        version INTEGER NOT NULL,
        language {text} NOT NULL,
        text {text} NOT NULL,
        created_at {text} NOT NULL,
        PRIMARY KEY (position, version)
    )
"""

# That an applicant has accepted a version of the notice.
CONSENTS = """
    CREATE TABLE consents (
        number {id},
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        version INTEGER NOT NULL,
        accepted_at {text} NOT NULL
    )
"""
CONSENTS_INTERVIEW = "CREATE INDEX consents_interview ON consents (interview, number)"
CONSENTS_POSITION = "CREATE INDEX consents_position ON consents (position, number)"

# That an applicant has asked for a person in place of the interview.
OTHER_WAYS = """
    CREATE TABLE other_ways (
        number {id},
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        asked_at {text} NOT NULL
    )
"""
OTHER_WAYS_INTERVIEW = "CREATE INDEX other_ways_interview ON other_ways (interview, number)"
OTHER_WAYS_POSITION = "CREATE INDEX other_ways_position ON other_ways (position, number)"

# Notes that applicants have put to messages of their own; of a message's the newest counts.
CORRECTIONS = """
    CREATE TABLE corrections (
        number {id},
        interview {text} NOT NULL,
        position {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        message_id INTEGER NOT NULL,
        note {text} NOT NULL,
        created_at {text} NOT NULL
    )
"""
CORRECTIONS_INTERVIEW = "CREATE INDEX corrections_interview ON corrections (interview, number)"

# What was done under an access key, and by whom; no word of an interview, and nobody's name. `at`
# is UTC, `YYYY-MM-DDTHH:MM:SS.ffffffZ`; `subject` is an interview, or empty; `detail` is an object
# of JSON, or empty. An event is stored in the transaction of what it tells of, and becomes a link
# of its position's chain (`sequence`, `hash`) a little later, so that no transaction waits for
# another's event.
AUDIT_EVENTS = """
    CREATE TABLE audit_events (
        number {id},
        position {text} NOT NULL,
        at {text} NOT NULL,
        actor {text} NOT NULL,
        action {text} NOT NULL,
        subject {text} NOT NULL,
        detail {text} NOT NULL,
        sequence INTEGER,
        hash {text}
    )
"""
AUDIT_EVENTS_CHAIN = "CREATE UNIQUE INDEX audit_events_chain ON audit_events (position, sequence)"
AUDIT_EVENTS_LOOSE = (
    "CREATE INDEX audit_events_loose ON audit_events (position, number) WHERE sequence IS NULL"
)
AUDIT_EVENTS_SUBJECT = "CREATE INDEX audit_events_subject ON audit_events (subject, at)"

# The last link of each position's chain, so that its end cannot be taken off unnoticed. Whoever
# adds links locks it.
AUDIT_HEADS = """
    CREATE TABLE audit_heads (
        position {text} NOT NULL PRIMARY KEY,
        sequence INTEGER NOT NULL,
        hash {text} NOT NULL
    )
"""

# The receipts of erasures. An interview that was erased is known by its digest alone. `wiped_at` is
# NULL while something may be left of it in the database's files.
ERASURES = """
    CREATE TABLE erasures (
        number {id},
        receipt_id {text} NOT NULL UNIQUE,
        interview {text} NOT NULL,
        position {text} NOT NULL,
        erased_at {text} NOT NULL,
        counts {text} NOT NULL,
        wiped_at {text}
    )
"""
ERASURES_INTERVIEW = "CREATE INDEX erasures_interview ON erasures (interview, number)"
ERASURES_POSITION = "CREATE INDEX erasures_position ON erasures (position, number)"
ERASURES_UNWIPED = "CREATE INDEX erasures_unwiped ON erasures (number) WHERE wiped_at IS NULL"

# What must not be erased: an interview, or with an empty `interview` a whole position.
LEGAL_HOLDS = """
    CREATE TABLE legal_holds (
        number {id},
        position {text} NOT NULL,
        interview {text} NOT NULL,
        access_key {text} NOT NULL,
        name {text} NOT NULL,
        email {text} NOT NULL,
        reason {text} NOT NULL,
        held_by {text} NOT NULL,
        created_at {text} NOT NULL,
        ended_at {text},
        ended_by {text},
        end_reason {text}
    )
"""
LEGAL_HOLDS_POSITION = "CREATE INDEX legal_holds_position ON legal_holds (position, interview)"

# The tables of the version after that.
TABLES_OF_RECORDS = (
    POSITIONS_CONSENT,
    POSITIONS_NOTICE,
    POSITIONS_CORRECTION,
    POSITIONS_RETENTION,
    POSITIONS_RETENTION_SINCE,
    NOTICES,
    CONSENTS,
    CONSENTS_INTERVIEW,
    CONSENTS_POSITION,
    OTHER_WAYS,
    OTHER_WAYS_INTERVIEW,
    OTHER_WAYS_POSITION,
    CORRECTIONS,
    CORRECTIONS_INTERVIEW,
    AUDIT_EVENTS,
    AUDIT_EVENTS_CHAIN,
    AUDIT_EVENTS_LOOSE,
    AUDIT_EVENTS_SUBJECT,
    AUDIT_HEADS,
    ERASURES,
    ERASURES_INTERVIEW,
    ERASURES_POSITION,
    ERASURES_UNWIPED,
    LEGAL_HOLDS,
    LEGAL_HOLDS_POSITION,
)


def written_for(
    statements: Iterable[str], *, id_type: str, text_type: str, number_type: str
) -> tuple[str, ...]:
    """Return the statements with a database's own types."""
    return tuple(
        statement.format(id=id_type, text=text_type, number=number_type) for statement in statements
    )
