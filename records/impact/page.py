"""Impact figures as an HTML file with bar charts, to be published or printed."""

from collections.abc import Sequence
from typing import NamedTuple

from records.impact.figures import FOUR_FIFTHS, Comparison
from records.impact.report import (
    TITLES,
    Report,
    facts,
    figures_of,
    marks,
    name_of,
    notes,
    number,
    percent,
)
from records.standalone import rendered

# The places of a chart, in units of its picture.
NAMES_WIDTH = 260
BARS_WIDTH = 380
ROW_HEIGHT = 26

# Characters of a group's name in a chart; the table beneath has all of them.
SHOWN_CHARS = 34


class Bar(NamedTuple):
    """The bar of one group's impact ratio."""

    name: str
    top: int
    width: float
    text: str
    is_flagged: bool


class Chart(NamedTuple):
    """The impact ratios of a comparison, as bars."""

    bars: Sequence[Bar]
    height: int
    four_fifths: float
    """Where the line at four fifths is."""


def as_html(report: Report) -> str:
    """Return the report as one HTML file."""
    return rendered(
        "impact.html",
        report=report,
        facts=facts(report),
        figures=figures_of(report),
        notes=list(notes(report)),
        titles=TITLES,
        chart=chart,
        marks=marks,
        name_of=name_of,
        number=number,
        percent=percent,
        names_width=NAMES_WIDTH,
        bars_width=BARS_WIDTH,
        row_height=ROW_HEIGHT,
    )


def chart(comparison: Comparison) -> Chart:
    """Return the bars of a comparison."""
    bars = [
        Bar(
            _short(name_of(group.labels)),
            place * ROW_HEIGHT,
            round(float(group.impact_ratio or 0) * BARS_WIDTH, 1),
            number(group.impact_ratio, 2),
            group.is_flagged,
        )
        for place, group in enumerate(comparison.groups)
    ]
    return Chart(bars, len(bars) * ROW_HEIGHT, float(FOUR_FIFTHS * BARS_WIDTH))


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_CHARS else f"{name[: SHOWN_CHARS - 1]}\N{HORIZONTAL ELLIPSIS}"
