"""The machine's ratings of interviews that people have rated, beside those of the people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from commands.agreement_tables import agreement_table, summary_table
from config import Config, Model, StartError, load, models

if TYPE_CHECKING:  # loaded when they are used: the other commands do without
    from llm import LLM
    from scorecards.agreement import Agreement
    from scorecards.calibration import Observation, Summary
    from scorecards.rated_interviews import RatedInterview
    from scorecards.rating import Rater

ALL = "all"

# The exit status of a program that Ctrl+C has ended.
INTERRUPTED = 130


@dataclass
class Scorer:
    """A model with its system message, and what it has made of the interviews so far."""

    name: str
    llm: LLM
    rater: Rater
    observations: list[Observation] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """The reasons why interviews were not rated, by their ids."""


@click.command(
    help="Rate the interviews in FILE, which people have rated, and print how far both agree."
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--model", help="Rate by it in place of SCORING_MODEL; the notation is the same.")
@click.option("--against", metavar="MODEL", help="Rate by this model too, and compare both.")
@click.option(
    "--against-prompt",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Rate with the system message in this file too, and compare both.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--rehearse", is_flag=True, help="Let a script rate, without AI and without a key.")
def calibrate(
    file: Path,
    model: str | None,
    against: str | None,
    against_prompt: Path | None,
    as_json: bool,
    rehearse: bool,
) -> None:
    """Rate the interviews, and print the agreement."""
    from scorecards.rated_interviews import BadFile, read_interviews

    try:
        config = _config(rehearse=rehearse)
        interviews = read_interviews(file.read_text(encoding="utf-8-sig").split("\n"))
        scorers = _scorers(config, model, against, against_prompt)
    except (BadFile, StartError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error
    is_complete = _rate(interviews, scorers, config)
    if as_json:
        click.echo(json.dumps(_report(interviews, scorers, is_complete), indent=2))
    else:
        click.echo("\n".join(_text(interviews, scorers, is_complete)))
    for scorer in scorers:
        scorer.llm.close()
    if not is_complete:
        sys.exit(INTERRUPTED)
    if any(scorer.failures for scorer in scorers):
        sys.exit(1)


def _config(*, rehearse: bool) -> Config:
    if not rehearse:
        try:
            return load()
        except StartError as error:
            raise StartError(f"{error} Or add --rehearse, to try this without AI.") from None
    from openai_api.rehearsal import Rehearsal

    click.echo("This is a REHEARSAL: a script rates, without AI.", err=True)
    url = Rehearsal().start().url
    return replace(load(asks_model=False), openai_api_key="rehearsal", openai_base_url=url)


def _scorers(
    config: Config, model: str | None, against: str | None, against_prompt: Path | None
) -> list[Scorer]:
    first = config.scoring_model or config.openai_model
    if model is not None:
        first = models("--model", model)
    second = first if against is None else models("--against", against)
    scorers = [_scorer(config, first, None)]
    if against is not None or against_prompt is not None:
        scorers.append(_scorer(config, second, against_prompt))
    return scorers


def _scorer(config: Config, asked: tuple[Model, ...], prompt: Path | None) -> Scorer:
    from llm import LLM
    from scorecards.rating import Rater

    name = ",".join(map(str, asked))
    llm = LLM(config, asked)
    if prompt is None:
        return Scorer(name, llm, Rater(llm, config))
    rules = prompt.read_text(encoding="utf-8").strip()
    return Scorer(f"{name} with {prompt.name}", llm, Rater(llm, config, rules))


def _rate(interviews: Sequence[RatedInterview], scorers: Sequence[Scorer], config: Config) -> bool:
    """Let the scorers rate in turn, and return whether they came to the end."""
    from scorecards.calibration import rate
    from scorecards.rating import ScoringFailed

    stop = Event()
    tasks = [(interview, scorer) for interview in interviews for scorer in scorers]
    try:
        with click.progressbar(tasks, label="Rating", show_pos=True, file=sys.stderr) as bar:
            for interview, scorer in bar:
                try:
                    scorer.observations += rate(
                        interview, scorer.rater, config.scoring_deadline, lambda: not stop.is_set()
                    )
                except ScoringFailed as error:
                    scorer.failures[interview.id] = error.reason
    except KeyboardInterrupt:
        stop.set()
        click.echo(err=True)
        return False
    return True


def _summaries(scorer: Scorer) -> dict[str, Summary]:
    """Return a summary of each criterion and, last, one of all."""
    from scorecards.calibration import by_criterion, summary

    groups = by_criterion(scorer.observations)
    return {
        **{criterion: summary(observations) for criterion, observations in groups.items()},
        ALL: summary(scorer.observations),
    }


def _comparison(scorers: Sequence[Scorer]) -> dict[str, Agreement]:
    """Return how far the second scorer agrees with the first, by criterion and of all."""
    from scorecards.calibration import between, by_criterion

    first, second = (scorer.observations for scorer in scorers)
    return {
        **{
            criterion: between(first, observations)
            for criterion, observations in by_criterion(second).items()
        },
        ALL: between(first, second),
    }


# As JSON.


def _report(
    interviews: Sequence[RatedInterview], scorers: Sequence[Scorer], is_complete: bool
) -> dict[str, Any]:
    return {
        "interviews": len(interviews),
        "is_complete": is_complete,
        "scorers": [
            {
                "scorer": scorer.name,
                "failed": scorer.failures,
                "results": {name: _as_json(it) for name, it in _summaries(scorer).items()},
                "observations": [_observed(one) for one in scorer.observations],
            }
            for scorer in scorers
        ],
        "comparison": (
            {name: it._asdict() for name, it in _comparison(scorers).items()}
            if len(scorers) > 1
            else None
        ),
    }


def _observed(observation: Observation) -> dict[str, Any]:
    reference = observation.reference and observation.reference._asdict()
    return {**observation._asdict(), "reference": reference}


def _as_json(summary: Summary) -> dict[str, Any]:
    fields = summary._asdict()
    fields["agreement"] = summary.agreement._asdict()
    fields["retest"] = summary.retest._asdict()
    return fields


# As text.


def _text(
    interviews: Sequence[RatedInterview], scorers: Sequence[Scorer], is_complete: bool
) -> Iterator[str]:
    if not is_complete:
        yield from ("Interrupted. This is what was rated until then:", "")
    for scorer in scorers:
        yield from _scorer_text(len(interviews), scorer)
    if len(scorers) > 1:
        first, second = (scorer.name for scorer in scorers)
        yield from ("", f"Where both gave a score, {second} beside {first}:", "")
        yield from agreement_table(_comparison(scorers))


def _scorer_text(interviews: int, scorer: Scorer) -> Iterator[str]:
    summaries = _summaries(scorer)
    total = summaries[ALL]
    rated = len({one.interview for one in scorer.observations})
    reasons = ", ".join(f"{reason} {count}" for reason, count in total.rejected.items())
    yield from (f"{rated} of {interviews} interviews rated by {scorer.name}", "")
    yield from summary_table(summaries)
    yield ""
    yield (
        f"Scores that people could not give: {total.unscorable}."
        f" The machine gave {total.unscorable_scored} of these."
    )
    yield f"Quotes: {total.quotes}. Rejected: {reasons or 'none'}."
    yield f"Tokens: {total.tokens_in:,} in, {total.tokens_out:,} out."
    for id_, reason in scorer.failures.items():
        yield f"Not rated: {id_} ({reason})."
