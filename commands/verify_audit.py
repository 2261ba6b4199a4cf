"""The verification of the audit trail: of each position's events and of their order."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import click

from config import StartError, load
from db import Database, DatabaseUnavailable, open_database, position_digest
from records.audit_queries import AuditChains
from records.audit_verification import Verification

# Sentences that are printed of one position; the rest is counted.
MOST_PROBLEMS = 20

# The end of the line that is printed of a position, by which its head is known again.
HEAD = re.compile(r"head (\d+) ([0-9a-f]{64}) of ([0-9a-f]{64})$", re.MULTILINE)

Heads = dict[str, dict[int, str]]
"""Hashes by the places of events, by the digests of positions."""


def heads_of(text: str) -> Heads:
    """Return the heads that earlier verifications have printed."""
    heads: Heads = defaultdict(dict)
    for sequence, digest, position in HEAD.findall(text):
        if int(sequence):  # 0 is that of a chain without events
            heads[position][int(sequence)] = digest
    return heads


def positions(database: Database, kept: Heads) -> Iterator[str]:
    """Yield the digest of every position that has a trail, or had one when a head was kept."""
    position = ""
    while True:
        with database.reading() as session:
            following = AuditChains(session).position_after(position)
        if following is None:
            break
        position = following
        yield position
        kept.pop(position, None)
    yield from kept


def report(database: Database, position: str, kept: dict[int, str]) -> tuple[list[str], bool]:
    """Verify a position's trail, and return what is to be printed, and whether all is well."""
    verification = Verification(database, position, kept)
    problems = verification.problems()
    told = list(islice(problems, MOST_PROBLEMS))
    more = sum(1 for _ in problems)
    with database.reading() as session:
        name = AuditChains(session).access_key(position) or f"Position {position[:16]}..."
    found = "wrong" if told else "as they were written"
    head = verification.head
    lines = [
        f"{name}: {verification.events} events, {found}; head {head.sequence} {head.hash}"
        f" of {position}",
        *(f"  {problem}" for problem in told),
    ]
    if more:
        lines.append(f"  And {more} more of this kind.")
    return lines, not told


@click.command("verify-audit", help="Verify the audit trail, of ACCESS_KEY alone or of all.")
@click.argument("access_key", required=False)
@click.option(
    "--heads",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What this command has printed before: each head in it must still be in its chain.",
)
def verify_audit(access_key: str | None, heads: Path | None) -> None:
    """Print each position's head, and each event that is not as it was written; exit with 1."""
    kept = heads_of(heads.read_text()) if heads else {}
    try:
        database = open_database(load(asks_model=False))
        try:
            is_well = _verify(database, access_key, kept)
        finally:
            database.close()
    except (StartError, DatabaseUnavailable) as error:
        raise click.ClickException(str(error)) from error
    if not is_well:
        sys.exit(1)


def _verify(database: Database, access_key: str | None, kept: Heads) -> bool:
    """Print what is found, position by position, and return whether all is well."""
    wanted: Iterable[str]
    wanted = [position_digest(access_key)] if access_key else positions(database, {**kept})
    is_well = True
    for position in wanted:
        lines, is_one_well = report(database, position, kept.get(position, {}))
        click.echo("\n".join(lines))
        is_well = is_well and is_one_well
    return is_well
