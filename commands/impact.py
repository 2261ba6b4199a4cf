"""Impact figures of a position, for groups that a file names; the file is not stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from config import StartError, load
from db import as_clients_read, open_database, stored_now

if TYPE_CHECKING:  # loaded when they are used: the other commands do without
    from records.impact.groups import Groups
    from records.impact.report import Report
    from records.impact.sample import Sample

FORMATS = ("table", "csv", "html", "json")


@click.command(help="Print how scores and decisions under ACCESS_KEY fall on groups of applicants.")
@click.argument("access_key", metavar="ACCESS_KEY")
@click.option(
    "--groups",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="A CSV file with the columns email, sex and race_ethnicity.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option(
    "--leave-out-small",
    metavar="REASON",
    help="Leave groups with less than 2 % of the data out of the impact ratios, for this reason.",
)
def impact(access_key: str, file: Path, kind: str, leave_out_small: str | None) -> None:
    """Print the figures; what concerns single people goes to standard error."""
    from records.impact.figures import figures
    from records.impact.groups import BadGroups, read_groups
    from records.impact.report import Report

    if leave_out_small is not None and not leave_out_small.strip():
        raise click.ClickException("The reason must not be blank: it is printed.")
    try:
        groups = read_groups(file.read_bytes())
    except BadGroups as error:
        raise click.ClickException(str(error)) from error
    sample = _sample(access_key, groups)
    made = figures(
        sample.people,
        groups.by_address.values(),
        sample.groupings,
        leaves_out_small=leave_out_small is not None,
    )
    report = Report(sample, made, as_clients_read(stored_now()), leave_out_small)
    # Apart from the report, which is to be passed on.
    for sentence, addresses in (
        ("No applicant has these addresses", sample.unmatched),
        ("These addresses stand in the file several times", groups.repeated),
    ):
        if addresses:
            click.echo(f"{sentence}: {', '.join(map(_safe, addresses))}.", err=True)
    click.echo(_written(report, kind), nl=False)


def _sample(access_key: str, groups: Groups) -> Sample:
    from records.impact.sample import NobodyFinished, read_sample

    try:
        database = open_database(load(asks_model=False))
        try:
            return read_sample(database, access_key, groups)
        finally:
            database.close()
    except NobodyFinished:
        raise click.ClickException(
            f"Nobody has finished an interview under {access_key}."
        ) from None
    except StartError as error:
        raise click.ClickException(str(error)) from error


def _written(report: Report, kind: str) -> str:
    from records.impact.report import as_csv, as_json, as_table

    if kind == "table":
        return "".join(f"{line}\n" for line in as_table(report))
    if kind == "csv":
        return as_csv(report)
    if kind == "json":
        return as_json(report)
    from records.impact.page import as_html

    return as_html(report)


def _safe(address: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in address)
