"""Impact figures as they are read: as a table, as CSV and as JSON. No report names a person."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from records.impact.figures import By, Comparison, Figures, Group, Labels
from records.impact.sample import UNDECIDED, Sample
from scorecards.views import cell

NOTHING = "\N{EN DASH}"

TITLES: dict[By, str] = {
    "sex": "By sex",
    "race": "By race or ethnicity",
    "both": "By sex and race or ethnicity",
}

COLUMNS = (
    *("figure", "by", "sex", "race_ethnicity", "applicants", "favoured", "rate", "impact_ratio"),
    *("p_value", "below_four_fifths", "under_two_percent", "left_out", "highest"),
)


class Report(NamedTuple):
    """The figures of a sample, and when they were made."""

    sample: Sample
    figures: Figures
    made_at: str
    """UTC, `YYYY-MM-DDTHH:MM:SSZ`."""
    left_out_because: str | None
    """Why groups with less than 2 % of the data are left out; None if they are not."""


class Figure(NamedTuple):
    """One of the two figures, by all that groups are formed by."""

    name: str
    title: str
    favoured: str
    """The title of the column of those who were favoured."""
    rate: str
    comparisons: Sequence[Comparison]


def figures_of(report: Report) -> tuple[Figure, Figure]:
    """Return both figures."""
    scoring, selection = report.figures.scoring, report.figures.selection
    return (
        Figure("scoring", "Scores", "above the median", "scoring rate", scoring),
        Figure("selection", "Decisions", "selected", "selection rate", selection),
    )


def facts(report: Report) -> dict[str, str]:
    """Return what the figures rest on, by its name."""
    sample = report.sample
    scored = len(sample.people) - sample.unscored - sample.without_total
    decisions = ", ".join(f"{count} {name}" for name, count in sorted(sample.decisions.items()))
    return {
        "Access key": sample.access_key,
        "Position": sample.title or NOTHING,
        "Made": report.made_at,
        "Finished interviews": f"{len(sample.people)} ({sample.unfinished} others left out, as"
        " they are not finished)",
        "With a total": f"{scored} ({sample.unscored} have no scorecard,"
        f" {sample.without_total} no total, as too little was said)",
        "Median of the totals": number(report.figures.median, 6),
        "Above the median": str(report.figures.above),
        "Decisions": decisions,
        "Not in the file of groups": str(sample.not_in_file),
    }


def notes(report: Report) -> Iterator[str]:
    """Yield what must be known to read the figures."""
    sample, made = report.sample, report.figures
    if made.median is not None and not made.above:
        yield "Nobody is above the median, as half of the totals or more are the highest one."
    if sample.decisions[UNDECIDED]:
        yield (
            f"{sample.decisions[UNDECIDED]} are not decided yet. In the selection rates they count"
            " as not selected."
        )
    if sample.in_review:
        yield (
            f"{sample.in_review} scorecards still need a review. Their totals are of the criteria"
            " that have a score."
        )
    if len(sample.rubric_versions) > 1:
        versions = ", ".join(map(str, sample.rubric_versions))
        yield f"Totals by different versions of the rubric are compared: {versions}."
    if sample.sharing:
        yield f"{sample.sharing} interviews have an address that another one has; each counts."
    if sample.unmatched:
        yield f"{len(sample.unmatched)} addresses of the file belong to no applicant."
    every = [group for one in (*made.scoring, *made.selection) for group in one.groups]
    if report.left_out_because is not None and any(group.is_left_out for group in every):
        yield (
            "Groups with less than 2 % of the data are left out of the impact ratios:"
            f" {report.left_out_because}"
        )
    elif any(group.is_small for group in every):
        yield (
            "Groups with less than 2 % of the data are marked. They may be left out of the impact"
            " ratios, with a reason."
        )
    yield (
        "p is of Fisher's exact test, two-sided, against the group with the highest rate, without"
        " correction for the number of groups. Of small groups neither a low ratio nor a high p"
        " says much."
    )


def marks(group: Group, comparison: Comparison) -> list[str]:
    """Return what is to be noticed about a group."""
    return [
        *(["highest rate"] if group.labels == comparison.highest else []),
        *(["below four fifths"] if group.is_flagged else []),
        *(["under 2 %"] if group.is_small else []),
        *(["left out"] if group.is_left_out else []),
    ]


def name_of(labels: Labels) -> str:
    """Return a group's name."""
    return ", ".join(labels)


def number(value: Fraction | float | None, digits: int = 3) -> str:
    """Return a number to so many digits behind the point."""
    return NOTHING if value is None else f"{float(value):.{digits}f}"


def percent(value: Fraction | None) -> str:
    """Return a share in per cent."""
    return NOTHING if value is None else f"{float(100 * value):.1f} %"


def as_table(report: Report) -> Iterator[str]:
    """Yield the lines of a report to be read in a terminal."""
    known = facts(report)
    width = max(map(len, known))
    yield from (f"{name.ljust(width)}  {_one_line(value)}" for name, value in known.items())
    for figure in figures_of(report):
        for comparison in figure.comparisons:
            yield from ("", f"{figure.title}, {TITLES[comparison.by].lower()}", "")
            titles = ["applicants", figure.favoured, figure.rate, "impact ratio", "p"]
            lines = [
                ["group", *titles, ""],
                *(_cells(group, comparison) for group in comparison.groups),
                ["(unknown)", str(comparison.unknown), "", "", "", "", ""],
            ]
            yield from _aligned(lines)
    yield ""
    yield from map(_one_line, notes(report))


def as_csv(report: Report) -> str:
    """Return a row for each group, and one for those of unknown groups."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for figure in figures_of(report):
        for comparison in figure.comparisons:
            for group in comparison.groups:
                sex, race = _sex_and_race(group.labels, comparison.by)
                row = [
                    *(figure.name, comparison.by, sex, race, group.size, group.favoured),
                    *map(_plain, (group.rate, group.impact_ratio, group.p_value)),
                    *(group.is_flagged, group.is_small, group.is_left_out),
                    group.labels == comparison.highest,
                ]
                writer.writerow(map(cell, row))
            # The unknown have no figures.
            blank = [""] * (len(COLUMNS) - 5)
            unknown = [figure.name, comparison.by, "(unknown)", "(unknown)", comparison.unknown]
            writer.writerow([*unknown, *blank])
    return text.getvalue()


def as_json(report: Report) -> str:
    """Return the report as JSON, with unrounded numbers."""
    sample = report.sample
    value: dict[str, Any] = {
        "access_key": sample.access_key,
        "title": sample.title,
        "made_at": report.made_at,
        "sample": {
            "finished": len(sample.people),
            "unfinished": sample.unfinished,
            "unscored": sample.unscored,
            "without_total": sample.without_total,
            "in_review": sample.in_review,
            "decisions": dict(sorted(sample.decisions.items())),
            "rubric_versions": list(sample.rubric_versions),
            "not_in_file": sample.not_in_file,
            "unmatched": len(sample.unmatched),
        },
        "median": _plain(report.figures.median),
        "above_median": report.figures.above,
        "left_out_because": report.left_out_because,
        **{
            figure.name: [_comparison(one) for one in figure.comparisons]
            for figure in figures_of(report)
        },
        "notes": list(notes(report)),
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "by": comparison.by,
        "highest": None if comparison.highest is None else name_of(comparison.highest),
        "unknown": comparison.unknown,
        "groups": [_group(group, comparison.by) for group in comparison.groups],
    }


def _group(group: Group, by: By) -> dict[str, Any]:
    sex, race = _sex_and_race(group.labels, by)
    return {
        "name": name_of(group.labels),
        "sex": sex or None,
        "race_ethnicity": race or None,
        "applicants": group.size,
        "favoured": group.favoured,
        "rate": _plain(group.rate),
        "impact_ratio": _plain(group.impact_ratio),
        "p_value": group.p_value,
        "below_four_fifths": group.is_flagged,
        "under_two_percent": group.is_small,
        "left_out": group.is_left_out,
    }


def _sex_and_race(labels: Labels, by: By) -> tuple[str, str]:
    if by == "both":
        return labels[0], labels[1]
    return (labels[0], "") if by == "sex" else ("", labels[0])


def _plain(value: Fraction | float | None) -> float | None:
    return None if value is None else float(value)


def _cells(group: Group, comparison: Comparison) -> list[str]:
    return [
        _one_line(name_of(group.labels)),
        *(str(group.size), str(group.favoured), percent(group.rate)),
        *(number(group.impact_ratio), number(group.p_value)),
        ", ".join(marks(group, comparison)),
    ]


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    for name, *cells, last in lines:
        padded = [one.rjust(width) for one, width in zip(cells, others[:-1], strict=True)]
        yield "  ".join([name.ljust(first), *padded, last]).rstrip()


def _one_line(text: str) -> str:
    """Return text in which nothing can move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in text)
