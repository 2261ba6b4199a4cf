"""Tables of the agreement that a calibration has found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scorecards.agreement import Agreement
    from scorecards.calibration import Summary

AGREEMENT_TITLES = ["n", "exact", "within 1", "kappa", "diff"]

# In the place of a figure that its data does not define.
UNKNOWN = "\N{EN DASH}"


def summary_table(rows: Mapping[str, Summary]) -> Iterator[str]:
    """Yield the lines of a table with a row for each criterion."""
    titles = [*AGREEMENT_TITLES, "retest", "dist", "no score", "review", "rejected"]
    yield from _table(titles, {name: _summary_cells(row) for name, row in rows.items()})


def agreement_table(rows: Mapping[str, Agreement]) -> Iterator[str]:
    """Yield the lines of a table with a row for each criterion."""
    cells = {name: _agreement_cells(row) for name, row in rows.items()}
    yield from _table(AGREEMENT_TITLES, cells)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.2f}"


def _agreement_cells(agreement: Agreement) -> list[str]:
    return [
        str(agreement.n),
        _share(agreement.exact),
        _share(agreement.within_one),
        _number(agreement.kappa),
        _signed(agreement.mean_difference),
    ]


def _summary_cells(summary: Summary) -> list[str]:
    return [
        *_agreement_cells(summary.agreement),
        _share(summary.retest.equal),
        _number(summary.retest.mean_distance),
        _share(summary.abstained),
        _share(summary.left_to_people),
        _share(summary.rejected_share),
    ]


def _table(titles: list[str], rows: Mapping[str, list[str]]) -> Iterator[str]:
    lines = [["criterion", *titles], *([name, *cells] for name, cells in rows.items())]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    for name, *cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, others, strict=True)]
        yield "  ".join([name.ljust(first), *padded])
