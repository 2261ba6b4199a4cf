"""Impact figures by the rules of New York City's Local Law 144: pure functions, in exact fractions.

The rules are 6 RCNY § 5-300 and 5-301. The scoring rate of a group is the share of those in it
whose score is above the median of the whole sample; the selection rate is the share of those in it
who are selected. The impact ratio is a group's rate divided by that of the group with the highest
rate. Both are taken by sex, by race or ethnicity, and by both. Who is of an unknown group is
counted apart. A group with less than 2 % of the data may be left out, but is shown.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from statistics import median
from typing import Literal, NamedTuple

from records.impact.fisher import two_sided

By = Literal["sex", "race", "both"]

FOUR_FIFTHS = Fraction(4, 5)
"""The impact ratio below which a group is flagged (29 CFR § 1607.4 D)."""

SMALL = Fraction(2, 100)
"""The share of the data below which a group may be left out (6 RCNY § 5-301 (d))."""

Labels = tuple[str, ...]
"""A group: its sex, its race or ethnicity, or both in this order."""


class Person(NamedTuple):
    """One individual of the sample."""

    sex: str | None
    """None if it is unknown."""
    race: str | None
    total: Fraction | None
    """The unrounded total of the scorecard that counts; None without one."""
    is_selected: bool


class Group(NamedTuple):
    """The figures of one group."""

    labels: Labels
    size: int
    """The number of individuals in it."""
    favoured: int
    """Those above the median, or selected."""
    rate: Fraction | None
    """None if the group is empty."""
    impact_ratio: Fraction | None
    """None if there is no rate, nobody is favoured in any group, or the group is left out."""
    p_value: float | None
    """Of Fisher's exact test, two-sided, against the group with the highest rate."""
    is_small: bool
    """Whether the group has less than 2 % of the data."""
    is_left_out: bool

    @property
    def is_flagged(self) -> bool:
        """Whether the rate is below four fifths of the highest."""
        return self.impact_ratio is not None and self.impact_ratio < FOUR_FIFTHS


class Comparison(NamedTuple):
    """The groups of one kind."""

    by: By
    groups: Sequence[Group]
    """By their labels."""
    highest: Labels | None
    """The group with the highest rate, the largest of several; None if nobody is favoured."""
    unknown: int
    """Those whose group is not known; they are in no figure of the groups."""


class Figures(NamedTuple):
    """All figures of a sample."""

    median: Fraction | None
    """Of all totals, also of those whose group is unknown."""
    above: int
    """Those whose total is above it."""
    scoring: Sequence[Comparison]
    selection: Sequence[Comparison]


GROUPINGS: dict[By, Callable[[str | None, str | None], Labels | None]] = {
    "sex": lambda sex, _: None if sex is None else (sex,),
    "race": lambda _, race: None if race is None else (race,),
    "both": lambda sex, race: None if sex is None or race is None else (sex, race),
}


def figures(
    people: Sequence[Person],
    known: Iterable[tuple[str | None, str | None]],
    groupings: Sequence[By],
    *,
    leaves_out_small: bool = False,
) -> Figures:
    """Return the figures of a sample.

    Args:
        people: The sample: everyone who was assessed.
        known: Sexes and races of all whose groups are known, applicants or not, so that a group of
            which nobody is in the sample is shown as empty.
        groupings: What the groups are formed by.
        leaves_out_small: Whether groups with less than 2 % of the data have no impact ratio, and
            are not the one that others are compared with.

    """
    known = set(known)
    scored = [person for person in people if person.total is not None]
    middle = (
        median(person.total for person in scored if person.total is not None) if scored else None
    )

    def is_above(person: Person) -> bool:
        return middle is not None and person.total is not None and person.total > middle

    def compared(by: By, sample: Sequence[Person], rule: Callable[[Person], bool]) -> Comparison:
        grouping = GROUPINGS[by]
        members = [(grouping(person.sex, person.race), rule(person)) for person in sample]
        every = {grouping(sex, race) for sex, race in known} - {None}
        return _comparison(by, members, every, leaves_out_small=leaves_out_small)

    return Figures(
        middle,
        sum(map(is_above, scored)),
        [compared(by, scored, is_above) for by in groupings],
        [compared(by, people, lambda person: person.is_selected) for by in groupings],
    )


def _comparison(
    by: By,
    members: Iterable[tuple[Labels | None, bool]],
    every: set[Labels | None],
    *,
    leaves_out_small: bool,
) -> Comparison:
    counts: Counter[Labels | None] = Counter()
    favoured: Counter[Labels | None] = Counter()
    for labels, is_favoured in members:
        counts[labels] += 1
        favoured[labels] += is_favoured
    unknown = counts.pop(None, 0)
    groups = sorted(labels for labels in every | set(counts) if labels is not None)
    total = sum(counts.values())
    small = {labels for labels in groups if counts[labels] < SMALL * total or not counts[labels]}
    left_out = small if leaves_out_small else set()
    rates = {labels: _share(favoured[labels], counts[labels]) for labels in groups}
    highest = _highest(
        {labels: rate for labels, rate in rates.items() if rate and labels not in left_out}, counts
    )

    def group(labels: Labels) -> Group:
        count, rate = counts[labels], rates[labels]
        ratio = p_value = None
        if highest is not None and rate is not None and labels not in left_out:
            ratio = rate / (rates[highest] or 1)
            if labels != highest:
                p_value = two_sided(favoured[labels], count, favoured[highest], counts[highest])
        return Group(
            labels,
            count,
            favoured[labels],
            rate,
            ratio,
            p_value,
            is_small=labels in small,
            is_left_out=labels in left_out,
        )

    return Comparison(by, list(map(group, groups)), highest, unknown)


def _share(favoured: int, count: int) -> Fraction | None:
    return Fraction(favoured, count) if count else None


def _highest(rates: dict[Labels, Fraction], counts: Counter[Labels | None]) -> Labels | None:
    """Return the group with the highest rate; of several the largest, and then the first."""
    best = sorted(rates, key=lambda labels: (-rates[labels], -counts[labels], labels))
    return best[0] if best else None
