"""A scorecard computed again from what is stored, to show that nothing else has gone into it."""

import json
import sys

import click

from config import StartError, load
from db import Database, Messages, open_database
from positions.queries import Rubrics
from scorecards.asking import NotARating
from scorecards.queries import Json, ScorecardReviews, Scorecards
from scorecards.result import computed, counting, runs_of
from scorecards.scoring import digest_of, noted_part, transcript_sha256
from scorecards.suspicion import flags_of


class RescoreError(Exception):
    """The reason, in one sentence, why the scorecard cannot be computed again."""


def rescored(database: Database, scorecard_id: str) -> tuple[Json, Json]:
    """Return the parts of a scorecard as they are stored, and as they are computed now.

    Raises:
        RescoreError: There is no such scorecard, it has no result, or one cannot be computed.

    """
    with database.reading() as session:
        scorecard = Scorecards(session).one(scorecard_id)
        if scorecard is None:
            raise RescoreError(f"There is no scorecard {scorecard_id}.")
        if scorecard.result is None:
            raise RescoreError(f"The scorecard is {scorecard.state}: there is nothing to compute.")
        reviews = ScorecardReviews(session).of(scorecard_id)
        history = Messages(session).of(scorecard.interview)
        version = Rubrics(session).version(scorecard.interview.access_key, scorecard.rubric_version)
    record = scorecard.record
    transcript = noted_part(history, record)
    try:
        result = computed(
            record["rubric"]["body"], transcript, flags_of(transcript), runs_of(record)
        )
    except NotARating as error:
        raise RescoreError(f"A stored answer is not a rating: {error}.") from error
    counts = counting(result, reviews, record["rubric"]["body"])
    stored = {
        "transcript_sha256": scorecard.transcript_sha256,
        "scorer": scorecard.scorer,
        "rubric": record["rubric"],
        "state": scorecard.state,
        "total": scorecard.total,
        "coverage": scorecard.coverage,
        "scores": scorecard.scores,
        **scorecard.result,
    }
    again = {
        "transcript_sha256": transcript_sha256(transcript),
        "scorer": digest_of(record["scorer"]),
        "rubric": version and version._asdict(),
        **counts._asdict(),
        **result,
    }
    return stored, again


def differences(stored: Json, again: Json) -> list[str]:
    """Return a line for each part that is not the same, by its place."""
    return [
        f"{place}: stored {_short(stored_value)}, computed {_short(again_value)}"
        for place, stored_value, again_value in _pairs("", stored, again)
        if stored_value != again_value
    ]


def _pairs(place: str, one: object, other: object) -> list[tuple[str, object, object]]:
    """Return the values at each place of two objects, as deep as both have the same shape."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        members = [(f"{place}.{name}".lstrip("."), one[name], other[name]) for name in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        members = [
            (f"{place}[{number}]", *pair)
            for number, pair in enumerate(zip(one, other, strict=True))
        ]
    else:
        return [(place, one, other)]
    return [pair for member in members for pair in _pairs(*member)]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}..."


@click.command(help="Compute the scorecard ID again from what is stored, and compare.")
@click.argument("scorecard_id", metavar="ID")
def rescore(scorecard_id: str) -> None:
    """Print whether the result is the same; if it is not, what differs, and exit with 1."""
    try:
        database = open_database(load(asks_model=False))
        try:
            stored, again = rescored(database, scorecard_id)
        finally:
            database.close()
    except (RescoreError, StartError) as error:
        raise click.ClickException(str(error)) from error
    found = differences(stored, again)
    for line in found:
        click.echo(line)
    if found:
        sys.exit(1)
    click.echo(f"The same: {len(stored['criteria'])} criteria, total {stored['total']}.")
