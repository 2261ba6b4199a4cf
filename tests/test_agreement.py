"""The statistics of agreement, against published figures and against the definition."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorecards.agreement import (
    Agreement,
    Reference,
    Retest,
    agreement,
    quadratic_weighted_kappa,
    retest,
)

Pairs = list[tuple[float, float]]

RATINGS = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=30)


def of_table(rows: Sequence[Sequence[int]]) -> Pairs:
    """Return the pairs that a table counts: the row of one rater, the column of the other."""
    return [
        (row, column)
        for row, counts in enumerate(rows)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]


def paired(left: Sequence[float], right: Sequence[float]) -> Pairs:
    return list(zip(left, right, strict=True))


PUBLISHED = {
    "the first two raters of `anxiety`, R package irr: kappa2(anxiety[,1:2], 'squared')": (
        paired(
            [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
            [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
        ),
        0.297,
    ),
    "the first example of Maple's QuadraticWeightedKappa": (
        paired([9, 7, 8, 7, 6, 8, 3, 5, 10], [8, 8, 6, 6, 7, 6, 1, 4, 8]),
        0.758620689655172,
    ),
    "the second example of Maple's QuadraticWeightedKappa": (
        paired([9, 7, 8, 7, 6, 8, 3, 5, 10], [3, 5, 6, 6, 7, 6, 1, 4, 8]),
        0.438095238095238,
    ),
    "the tests of scikit-learn's cohen_kappa_score": (
        paired([0] * 46 + [1] * 44 + [2] * 10, [0] * 50 + [1] * 40 + [2] * 10),
        0.9541,
    ),
    "a competition's check of its metric": (
        paired([1, 4, 2, 2, 5, 2, 5, 4, 5, 3, 1], [3, 4, 4, 4, 4, 4, 6, 7, 8, 9, 10]),
        0.0410256410256,
    ),
    "a table of counts": (
        of_table(
            [
                [9, 5, 2, 0, 0, 0],
                [4, 7, 1, 0, 0, 0],
                [1, 2, 4, 0, 1, 0],
                [0, 1, 1, 5, 1, 0],
                [0, 0, 0, 1, 2, 1],
                [0, 0, 0, 0, 0, 1],
            ]
        ),
        0.817,
    ),
}


@pytest.mark.parametrize(("pairs", "published"), PUBLISHED.values(), ids=PUBLISHED)
def test_kappa_is_what_others_have_published(pairs: Pairs, published: float) -> None:
    decimals = len(str(published).partition(".")[2])
    rounding = max(0.51 * 10**-decimals, 1e-12)
    assert quadratic_weighted_kappa(pairs) == pytest.approx(published, abs=rounding)


@given(RATINGS)
def test_kappa_is_that_of_the_table_of_counts(pairs: Pairs) -> None:
    kappa = quadratic_weighted_kappa(pairs)
    if kappa is not None:
        assert kappa == pytest.approx(kappa_of_table(pairs), abs=1e-9)


def kappa_of_table(pairs: Pairs) -> float:
    """Compute it as textbooks do, from the table of counts and its margins."""
    steps = range(1, 6)
    weights = {(i, j): (i - j) ** 2 / (len(steps) - 1) ** 2 for i in steps for j in steps}
    left = {i: sum(x == i for x, _ in pairs) for i in steps}
    right = {j: sum(y == j for _, y in pairs) for j in steps}
    observed = sum(weights[i, j] * pairs.count((i, j)) for i, j in weights)
    expected = sum(weights[i, j] * left[i] * right[j] / len(pairs) for i, j in weights)
    return 1 - observed / expected


@given(RATINGS)
def test_kappa_is_defined_if_both_raters_use_more_than_one_score(pairs: Pairs) -> None:
    varies = all(len(set(side)) > 1 for side in zip(*pairs, strict=True)) and len(pairs) > 1
    assert (quadratic_weighted_kappa(pairs) is not None) == varies


@given(RATINGS)
def test_kappa_is_the_same_from_both_sides_and_never_above_one(pairs: Pairs) -> None:
    kappa = quadratic_weighted_kappa(pairs)
    assert kappa == quadratic_weighted_kappa([(y, x) for x, y in pairs])
    assert kappa is None or -1 <= kappa <= 1


@pytest.mark.parametrize(
    "pairs", [[], [(3, 3)], [(4, 4), (4, 4)], [(4, 1), (4, 5)], [(1, 4), (5, 4)]]
)
def test_kappa_without_variance_is_unknown_and_not_0_or_1(pairs: Pairs) -> None:
    assert quadratic_weighted_kappa(pairs) is None


def test_a_score_agrees_with_a_range_if_it_lies_in_it() -> None:
    strict, wide = Reference(3, 3), Reference(2, 4)
    assert agreement([(3, strict), (4, strict), (5, strict), (2, wide), (5, wide)]) == Agreement(
        n=5,
        exact=2 / 5,
        within_one=4 / 5,
        kappa=None,  # the middles are all the same
        mean_difference=(0 + 1 + 2 - 1 + 2) / 5,
    )


def test_scores_that_are_too_generous_have_a_difference_above_0() -> None:
    high = agreement([(5, Reference(3, 3)), (4, Reference(2, 2))])
    assert high.mean_difference == 2
    assert high.within_one == 0
    assert high.kappa == pytest.approx(1 - 4 / 4.5)


def test_without_a_score_there_is_no_agreement_to_speak_of() -> None:
    assert agreement([]) == Agreement(0, None, None, None, None)


def test_runs_are_compared_in_pairs() -> None:
    runs: list[list[int | None]] = [[4, 4, 3], [None, None, 2], [5, 5, 5]]
    assert retest(runs) == Retest(pairs=9, equal=(1 + 1 + 3) / 9, mean_distance=2 / 6)


@pytest.mark.parametrize("runs", [[], [[4]], [[4], [None]]])
def test_one_run_cannot_be_compared_with_itself(runs: list[list[int | None]]) -> None:
    assert retest(runs) == Retest(0, None, None)


def test_runs_that_all_abstain_are_equal_and_have_no_distance() -> None:
    assert retest([[None, None, None]]) == Retest(3, 1, None)
