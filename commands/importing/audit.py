"""The audit trail of the file, merged with the one that the database has.

Events never clash. A chain that the database does not have, or has the beginning of, is copied link
by link. Where both have gone on by themselves, what the database does not have becomes loose, and
the service links it behind the database's own events.
"""

from commands.importing.table import Table

SAME_EVENT = (
    "(incoming.position, incoming.at, incoming.actor, incoming.action, incoming.subject,"
    " incoming.detail) = (present.position, present.at, present.actor, present.action,"
    " present.subject, present.detail)"
)

# An event that is loose in the database and a link in the file came with an earlier import.
LOOSE = f"""
    DELETE FROM audit_events AS present USING incoming_audit_events AS incoming
    WHERE present.sequence IS NULL AND incoming.sequence IS NOT NULL AND {SAME_EVENT}
"""
PART_COMPANY = """
    UPDATE incoming_audit_events SET sequence = NULL, hash = NULL WHERE position IN (
        SELECT position FROM audit_heads AS head WHERE NOT EXISTS (
            SELECT 1 FROM incoming_audit_events AS incoming WHERE incoming.position = head.position
            AND incoming.sequence = head.sequence AND incoming.hash = head.hash
        )
    )
"""
KNOWN_LINKS = """
    DELETE FROM incoming_audit_events AS incoming USING audit_heads AS head
    WHERE incoming.position = head.position AND incoming.sequence <= head.sequence
"""
KNOWN_EVENTS = f"""
    DELETE FROM incoming_audit_events AS incoming USING audit_events AS present
    WHERE incoming.sequence IS NULL AND {SAME_EVENT}
"""
# What is left of the file's events by then is what its chain goes on with.
KNOWN_HEADS = """
    DELETE FROM incoming_audit_heads AS incoming USING audit_heads AS head
    WHERE incoming.position = head.position AND NOT EXISTS (
        SELECT 1 FROM incoming_audit_events AS event
        WHERE event.position = head.position AND event.sequence IS NOT NULL
    )
"""

AUDIT_TABLES = (
    Table(
        "audit_events",
        "",
        "number",
        settle=f"{LOOSE}; {PART_COMPANY}",
        remove_known=f"{KNOWN_LINKS}; {KNOWN_EVENTS}",
    ),
    Table(
        "audit_heads",
        "",
        "position",
        remove_known=KNOWN_HEADS,
        replaced_by="position",
    ),
)
