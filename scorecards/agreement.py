"""How far ratings agree: a machine's with people's, a run's with another, a model's with another.

Pure statistics. A figure that its data does not define is None: 0 would read as "no agreement"
and 1 as "perfect agreement".
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean
from typing import NamedTuple


class Reference(NamedTuple):
    """The score that people find right: any from `low` to `high`, which may be the same."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The one number that stands for the range where a statistic needs one."""
        return (self.low + self.high) / 2


class Agreement(NamedTuple):
    """The agreement of scores with their references."""

    n: int
    exact: float | None
    """The share of the scores that lie within their range."""
    within_one: float | None
    """The share of the scores that lie in it, or are one step from its nearer end."""
    kappa: float | None
    """Quadratic weighted kappa of the scores and the middles of the ranges."""
    mean_difference: float | None
    """Score less the middle of its range, on average: above 0, the scores are more generous."""


class Retest(NamedTuple):
    """The agreement of the runs about one criterion, over all pairs of such runs."""

    pairs: int
    equal: float | None
    """The share of the pairs that are equal, which two abstentions are as well."""
    mean_distance: float | None
    """The distance of the scores, on average, over pairs in which both have one."""


def agreement(pairs: Sequence[tuple[float, Reference]]) -> Agreement:
    """Return the agreement of scores with the references beside them."""
    if not pairs:
        return Agreement(0, None, None, None, None)
    return Agreement(
        n=len(pairs),
        exact=fmean(people.low <= score <= people.high for score, people in pairs),
        within_one=fmean(people.low - 1 <= score <= people.high + 1 for score, people in pairs),
        kappa=quadratic_weighted_kappa([(score, people.middle) for score, people in pairs]),
        mean_difference=fmean(score - people.middle for score, people in pairs),
    )


def quadratic_weighted_kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Cohen's kappa with quadratic weights: 1 for equal ratings, 0 for chance.

    For n pairs (x, y)::

                sum over i of (x_i - y_i)^2 / n
        1 - ---------------------------------------
             sum over i and j of (x_i - y_j)^2 / n^2

    Above the line is the mean squared distance of two ratings of the same thing, below it that of
    ratings paired by chance. For whole numbers this is kappa as it is computed from the table of
    counts: the weights there, (i - j)^2 / (k - 1)^2 for k steps, have a divisor that cancels. In
    this form it also takes numbers between the steps.

    None with fewer than two pairs, or if one side is the same throughout: there is nothing then in
    which the two could vary together, and the formula gives 0, or none, whatever the other side is.
    """
    left = [x for x, _ in pairs]
    right = [y for _, y in pairs]
    if len(set(left)) < 2 or len(set(right)) < 2:
        return None
    observed = fmean((x - y) ** 2 for x, y in pairs)
    # The sum under the line, multiplied out so that it takes n steps and not n^2.
    by_chance = fmean(x * x for x in left) + fmean(y * y for y in right)
    by_chance -= 2 * fmean(left) * fmean(right)
    return 1 - observed / by_chance


def retest(runs: Sequence[Sequence[int | None]]) -> Retest:
    """Return the agreement of runs: for each criterion of each interview the scores of its runs."""
    pairs = [pair for scores in runs for pair in combinations(scores, 2)]
    distances = [abs(x - y) for x, y in pairs if x is not None and y is not None]
    return Retest(
        pairs=len(pairs),
        equal=fmean(x == y for x, y in pairs) if pairs else None,
        mean_distance=fmean(distances) if distances else None,
    )
