"""The board's charts: the places of lines and bars, which templates draw as SVG.

Each chart says in words what it shows; a template puts that, or a table, beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import cos, pi, sin

RADAR_SIZE = 220
RADAR_RADIUS = 70
STEPS = 5


@dataclass(frozen=True)
class Radar:
    """A polygon of scores from 1 to 5, one corner a criterion. Corners are `x,y` in SVG's units."""

    rings: list[str]
    spokes: list[tuple[float, float]]
    area: str
    dots: list[tuple[float, float]]
    labels: list[tuple[float, float, str, str]]
    """Where each label stands, how it is anchored, and its number."""
    centre: float = RADAR_SIZE / 2


def radar(scores: Sequence[int | None]) -> Radar | None:
    """Return the radar of scores; None for fewer than three, which span no area.

    A criterion without a score has no dot, and its corner is the centre.
    """
    number = len(scores)
    if number < 3:
        return None
    centre = RADAR_SIZE / 2

    def corner(index: int, distance: float) -> tuple[float, float]:
        angle = 2 * pi * index / number - pi / 2
        return (
            round(centre + RADAR_RADIUS * distance * cos(angle), 1),
            round(centre + RADAR_RADIUS * distance * sin(angle), 1),
        )

    def ring(distances: Sequence[float]) -> str:
        return " ".join(f"{x},{y}" for x, y in (corner(i, d) for i, d in enumerate(distances)))

    labels = []
    for index in range(number):
        x, y = corner(index, 1.22)
        anchor = "middle" if abs(x - centre) < 5 else "start" if x > centre else "end"
        labels.append((x, y + 4, anchor, str(index + 1)))
    return Radar(
        rings=[ring([step / STEPS] * number) for step in range(1, STEPS + 1)],
        spokes=[corner(index, 1) for index in range(number)],
        area=ring([(score or 0) / STEPS for score in scores]),
        dots=[corner(i, score / STEPS) for i, score in enumerate(scores) if score is not None],
        labels=labels,
    )


@dataclass(frozen=True)
class Lines:
    """Lines of numbers over days, in a picture of `width` to `height`."""

    width: int
    height: int
    lines: dict[str, str]
    """The points of each line, by its name."""
    ends: dict[str, tuple[float, float, int]]
    """Where each line ends, and the number there."""
    days: list[tuple[float, date]]
    """The days that the axis names, and where."""
    levels: list[tuple[float, int]]
    """The numbers that the axis names, and where."""


def growth(events: Mapping[str, Sequence[date]], today: date) -> Lines | None:
    """Return how many there have been until each day, by name.

    A number rises at the beginning of its day, and the picture ends with the end of the last one.
    None if all is of one day, of which there is nothing to draw, or if there is no day at all.
    """
    every = [day for days in events.values() for day in days]
    if len(set(every)) < 2:
        return None
    first = min(min(every), today - timedelta(days=6))
    last = max(max(every), today)
    span = (last - first).days + 1
    most = max(len(days) for days in events.values())
    width, height = 600, 200

    def x(day: date) -> float:
        return round((day - first).days / span * width, 1)

    def y(number: int) -> float:
        return round(height - number / most * height, 1)

    lines = {}
    ends = {}
    for name, days in events.items():
        points = [(0.0, y(0))]
        counts: dict[date, int] = {}
        for day in days:
            counts[day] = counts.get(day, 0) + 1
        number = 0
        for day in sorted(counts):
            points.append((x(day), y(number)))
            number += counts[day]
            points.append((x(day), y(number)))
        points.append((float(width), y(number)))
        lines[name] = " ".join(f"{left},{top}" for left, top in points)
        ends[name] = (float(width), y(number), number)
    named = sorted({first, first + timedelta(days=(span - 1) // 2), last})
    levels = sorted({0, most // 2, most}) if most > 1 else [0, most]
    return Lines(
        width,
        height,
        lines,
        ends,
        [(x(day), day) for day in named],
        [(y(level), level) for level in levels],
    )


@dataclass(frozen=True)
class Bar:
    """One bar of a distribution."""

    label: str
    number: int
    share: float
    """Of the highest bar, from 0 to 1."""


def distribution(totals: Sequence[float]) -> list[Bar]:
    """Return how many totals there are from 1 to 5, in steps of a half; the last has 5 as well."""
    counts = [0] * 8
    for total in totals:
        counts[min(max(int((total - 1) * 2), 0), 7)] += 1
    most = max(counts) or 1
    return [
        Bar(f"{1 + index / 2:g}\u2013{1.5 + index / 2:g}", count, count / most)
        for index, count in enumerate(counts)
    ]
