"""Impact figures: the rule's own examples, exactness, and what holds for every sample."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from math import comb, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from records.impact.figures import By, Comparison, Figures, Group, Person, figures
from records.impact.fisher import two_sided

ALL: tuple[By, ...] = ("sex", "race", "both")
NOT_HISPANIC = "(Not Hispanic or Latino)"


def made(people: Sequence[Person], by: Sequence[By] = ALL, **options: bool) -> Figures:
    return figures(people, [(one.sex, one.race) for one in people], by, **options)


def people(
    sex: str | None,
    race: str | None,
    count: int,
    favoured: int,
) -> Iterator[Person]:
    """People of whom so many are above the median, and selected."""
    for number in range(count):
        is_favoured = number < favoured
        yield Person(sex, race, Fraction(4 if is_favoured else 2), is_favoured)


def by_name(comparison: Comparison) -> dict[str, Group]:
    return {", ".join(group.labels): group for group in comparison.groups}


# The examples of 6 RCNY § 5-301. Each row: applicants, those who were favoured, and the rate and
# the impact ratio as printed there. The rule divides rates that it has rounded, and cuts one off.

SCORES_BY_SEX = {"Male": (92, 50, "54.3", "1.00"), "Female": (76, 34, "44.7", "0.82")}
SCORES_BY_RACE = {
    "Hispanic or Latino": (28, 18, "64.2", "1.00"),
    f"White {NOT_HISPANIC}": (40, 15, "37.5", "0.58"),
    f"Black or African American {NOT_HISPANIC}": (32, 16, "50.0", "0.78"),
    f"Native Hawaiian or Pacific Islander {NOT_HISPANIC}": (8, 5, "62.5", "0.97"),
    f"Asian {NOT_HISPANIC}": (24, 10, "41.7", "0.65"),
    f"Native American or Alaska Native {NOT_HISPANIC}": (16, 10, "62.5", "0.97"),
    f"Two or More Races {NOT_HISPANIC}": (20, 10, "50.0", "0.78"),
}
SELECTED_BY_SEX = {"Male": (1390, 667, "48", "1.000"), "Female": (1181, 555, "47", "0.979")}
SELECTED_BY_RACE = {
    "Hispanic or Latino": (408, 204, "50", "0.97"),
    "White": (797, 412, "52", "1.00"),
    "Black or African American": (390, 170, "44", "0.84"),
    "Native Hawaiian or Pacific Islander": (119, 52, "44", "0.85"),
    "Asian": (616, 302, "49", "0.95"),
    "Native American or Alaska Native": (41, 18, "44", "0.85"),
    "Two or More Races": (213, 96, "45", "0.87"),
}
SELECTED_BY_BOTH = {
    ("Male", "Hispanic or Latino"): (205, 90, "43.9", "0.841"),
    ("Female", "Hispanic or Latino"): (190, 82, "43.2", "0.827"),
    ("Male", "White"): (412, 215, "52.2", "1.000"),
    ("Male", "Black or African American"): (226, 95, "42.0", "0.806"),
    ("Male", "Native Hawaiian or Pacific Islander"): (87, 37, "42.5", "0.815"),
    ("Male", "Asian"): (321, 167, "52.0", "0.997"),
    ("Male", "Native American or Alaska Native"): (24, 11, "45.8", "0.878"),
    ("Male", "Two or More Races"): (144, 67, "46.5", "0.891"),
    ("Female", "White"): (385, 197, "51.2", "0.981"),
    ("Female", "Black or African American"): (164, 75, "45.7", "0.876"),
    ("Female", "Native Hawaiian or Pacific Islander"): (32, 15, "46.9", "0.898"),
    ("Female", "Asian"): (295, 135, "45.8", "0.877"),
    ("Female", "Native American or Alaska Native"): (17, 7, "41.2", "0.789"),
    ("Female", "Two or More Races"): (69, 29, "42.0", "0.805"),
}


def hold(group: Group, row: tuple[int, int, str, str]) -> None:
    """The figures of a group are those that are printed, to the last digit or its neighbour."""
    count, favoured, rate, ratio = row
    assert (group.size, group.favoured) == (count, favoured)
    assert group.rate == Fraction(favoured, count)
    assert group.impact_ratio is not None
    for value, printed in ((100 * group.rate, rate), (group.impact_ratio, ratio)):
        last_digit = Fraction(1, 10 ** len(printed.partition(".")[2]))
        assert abs(value - Fraction(printed)) < last_digit
    assert group.is_flagged == (group.impact_ratio < Fraction(4, 5))


@pytest.mark.parametrize("rows", [SCORES_BY_SEX, SCORES_BY_RACE])
def test_scores_of_the_rules_example(rows: dict[str, tuple[int, int, str, str]]) -> None:
    is_sex = rows is SCORES_BY_SEX
    sample = list(
        chain.from_iterable(
            people(name if is_sex else None, None if is_sex else name, count, favoured)
            for name, (count, favoured, _, _) in rows.items()
        )
    )
    found = made(sample, ["sex" if is_sex else "race"])
    # Half of the sample is above the median, as the example has it.
    assert (len(sample), found.above) == (168, 84)
    assert found.median == 3
    (comparison,) = found.scoring
    for name, group in by_name(comparison).items():
        hold(group, rows[name])
    assert comparison.highest == (("Male" if is_sex else "Hispanic or Latino"),)


@pytest.mark.parametrize("rows", [SELECTED_BY_SEX, SELECTED_BY_RACE])
def test_selections_of_the_rules_example(rows: dict[str, tuple[int, int, str, str]]) -> None:
    is_sex = rows is SELECTED_BY_SEX
    sample = chain.from_iterable(
        people(name if is_sex else None, None if is_sex else name, count, favoured)
        for name, (count, favoured, _, _) in rows.items()
    )
    (comparison,) = made(list(sample), ["sex" if is_sex else "race"]).selection
    for name, group in by_name(comparison).items():
        hold(group, rows[name])


def test_selections_by_sex_and_race_of_the_rules_example() -> None:
    sample = [
        *chain.from_iterable(
            people(sex, race, count, favoured)
            for (sex, race), (count, favoured, _, _) in SELECTED_BY_BOTH.items()
        ),
        # Those of an unknown group, whom the example counts apart.
        *people("Male", None, 100, 50),
        *people(None, "Asian", 100, 90),
        *people(None, None, 50, 0),
    ]
    sexes, races, both = made(sample).selection
    assert (sexes.unknown, races.unknown, both.unknown) == (150, 150, 250)
    for group in both.groups:
        hold(group, SELECTED_BY_BOTH[group.labels[0], group.labels[1]])
    assert both.highest == ("Male", "White")
    assert {group.labels for group in both.groups if group.is_small} == {
        ("Male", "Native American or Alaska Native"),
        ("Female", "Native American or Alaska Native"),
        ("Female", "Native Hawaiian or Pacific Islander"),
    }


# Medians and ties.


def scores(*totals: str, sex: str = "any") -> list[Person]:
    return [Person(sex, None, Fraction(total), False) for total in totals]


def test_who_is_at_the_median_is_not_above_it() -> None:
    found = made([*scores("1", "3", "3", sex="a"), *scores("3", "5", sex="b")], ["sex"])
    assert found.median == 3
    assert found.above == 1
    groups = by_name(found.scoring[0])
    assert groups["a"].rate == 0
    assert groups["b"].rate == Fraction(1, 2)


def test_the_median_of_an_even_number_lies_between_the_middle_two() -> None:
    found = made(scores("1", "3", "4", "5"), ["sex"])
    assert (found.median, found.above) == (Fraction(7, 2), 2)


def test_totals_that_only_rounding_makes_equal_are_not_equal() -> None:
    """Rounded to two digits, all three would be 3.33, and nobody above the median."""
    exact = [Fraction(10, 3), Fraction(3331, 1000), Fraction(3334, 1000)]
    found = made([Person("any", None, total, False) for total in exact], ["sex"])
    assert found.median == Fraction(10, 3)
    assert found.above == 1


def test_where_everybody_has_the_same_total_there_is_no_ratio() -> None:
    found = made([*scores(*["3"] * 5, sex="a"), *scores("3", sex="b")], ["sex"])
    assert found.above == 0
    (comparison,) = found.scoring
    assert comparison.highest is None
    for group in comparison.groups:
        assert group.rate == 0
        assert (group.impact_ratio, group.p_value) == (None, None)
        assert not group.is_flagged


def test_where_nobody_has_a_total_there_is_no_median() -> None:
    found = made([Person("a", "b", None, True), Person("c", "b", None, False)])
    assert (found.median, found.above) == (None, 0)
    assert found.scoring[0].groups[0].rate is None
    assert found.selection[0].groups[0].rate == 1


def test_those_of_unknown_groups_count_for_the_median_and_for_no_group() -> None:
    known = scores("1", "2", "3", sex="a")
    unknown = [Person(None, None, Fraction(5), True)] * 4
    found = made([*known, *unknown], ["sex"])
    assert found.median == 5
    assert found.scoring[0].unknown == 4
    assert by_name(found.scoring[0])["a"].size == 3
    assert by_name(found.selection[0])["a"].favoured == 0


def test_who_has_no_total_counts_for_the_selection_alone() -> None:
    sample = [*people("a", None, 4, 2), Person("a", None, None, True)]
    found = made(sample, ["sex"])
    assert by_name(found.scoring[0])["a"].size == 4
    assert by_name(found.selection[0])["a"].size == 5


# Groups.


def test_a_group_of_which_nobody_is_in_the_sample_is_shown_as_empty() -> None:
    found = figures(list(people("a", "x", 10, 5)), [("a", "x"), ("b", "y")], ALL)
    for comparison in (*found.scoring, *found.selection):
        empty = comparison.groups[-1]
        assert (empty.size, empty.rate, empty.impact_ratio, empty.p_value) == (0, None, None, None)
        assert empty.is_small
        assert not empty.is_flagged


def test_a_group_with_two_per_cent_is_not_small() -> None:
    for count, is_small in ((1, True), (2, False)):
        sample = [*people("a", None, 100 - count, 40), *people("b", None, count, 1)]
        assert by_name(made(sample, ["sex"]).selection[0])["b"].is_small == is_small


def test_a_small_group_that_is_left_out_is_shown_and_compared_with_nobody() -> None:
    sample = [*people("a", None, 99, 40), *people("b", None, 1, 1), *people("c", None, 80, 20)]
    (kept,) = made(sample, ["sex"]).selection
    assert kept.highest == ("b",)
    assert by_name(kept)["a"].is_flagged
    (left,) = made(sample, ["sex"], leaves_out_small=True).selection
    assert left.highest == ("a",)
    small = by_name(left)["b"]
    assert (small.size, small.favoured) == (1, 1)
    assert small.rate == 1
    assert (small.impact_ratio, small.p_value, small.is_left_out) == (None, None, True)
    assert by_name(left)["a"].impact_ratio == 1
    assert by_name(left)["c"].is_flagged


def test_four_fifths_exactly_is_not_below_four_fifths() -> None:
    for favoured, is_flagged in ((40, False), (39, True)):
        sample = [*people("a", None, 100, 50), *people("b", None, 100, favoured)]
        assert by_name(made(sample, ["sex"]).selection[0])["b"].is_flagged == is_flagged


def test_of_several_groups_with_the_highest_rate_the_largest_is_the_one_to_compare_with() -> None:
    sample = [*people("a", None, 2, 1), *people("b", None, 20, 10), *people("c", None, 20, 5)]
    (comparison,) = made(sample, ["sex"]).selection
    assert comparison.highest == ("b",)
    groups = by_name(comparison)
    assert groups["a"].impact_ratio == groups["b"].impact_ratio == 1
    assert (groups["a"].p_value, groups["b"].p_value) == (1, None)


# Fisher's exact test.


@pytest.mark.parametrize(
    ("table", "p"),
    [
        # The tea that a lady tasted: R, `fisher.test(TeaTasting)`.
        ((3, 4, 1, 4), 0.4857142857142857),
        # R, `fisher.test(Convictions)`: dizygotic and monozygotic twins.
        ((2, 17, 10, 13), 0.0005367241191),
        # SciPy's examples, whales in two oceans, and one of Wikipedia, who studies.
        ((8, 10, 1, 6), 0.03496503496503497),
        ((1, 12, 9, 12), 0.0027594561852200836),
        ((0, 5, 0, 7), 1.0),
        ((5, 5, 7, 7), 1.0),
        ((0, 0, 3, 7), 1.0),
        ((0, 1, 1, 1), 1.0),
        ((5, 5, 0, 5), 2 / comb(10, 5)),
    ],
)
def test_p_is_what_others_have_published(table: tuple[int, int, int, int], p: float) -> None:
    assert isclose(two_sided(*table), p, rel_tol=1e-9)


SIZES = st.integers(0, 12)


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int, int]:
    count, other = draw(SIZES), draw(SIZES)
    return draw(st.integers(0, count)), count, draw(st.integers(0, other)), other


@given(tables())
def test_p_is_the_share_of_tables_that_are_no_more_probable(
    table: tuple[int, int, int, int],
) -> None:
    """Counted in another way: from the binomial coefficients of each table."""
    favoured, count, other_favoured, other = table
    total = favoured + other_favoured
    ways = {
        place: comb(count, place) * comb(other, total - place)
        for place in range(count + 1)
        if 0 <= total - place <= other
    }
    expected = Fraction(
        sum(way for way in ways.values() if way <= ways[favoured]), sum(ways.values())
    )
    p = two_sided(*table)
    assert p == float(expected)
    assert 0 < p <= 1
    # It does not matter which group is the first, nor which outcome is the favoured one.
    assert p == two_sided(other_favoured, other, favoured, count)
    assert p == two_sided(count - favoured, count, other - other_favoured, other)


def test_a_large_sample_is_no_less_exact() -> None:
    assert two_sided(2500, 5000, 2500, 5000) == 1
    assert two_sided(5000, 10_000, 0, 10_000) < 1e-300


# What holds for every sample.

LABELS = st.sampled_from(["a", "b", "c", None])
PEOPLE = st.lists(
    st.builds(
        Person,
        LABELS,
        LABELS,
        st.one_of(st.none(), st.fractions(1, 5, max_denominator=12)),
        st.booleans(),
    ),
    max_size=60,
)


def every_group(found: Figures) -> Iterable[tuple[Comparison, Group]]:
    for comparison in (*found.scoring, *found.selection):
        for group in comparison.groups:
            yield comparison, group


@given(PEOPLE, st.booleans())
@settings(max_examples=200)
def test_what_holds_for_every_sample(sample: list[Person], leaves_out: bool) -> None:
    found = made(sample, leaves_out_small=leaves_out)
    scored = [one for one in sample if one.total is not None]
    assert 2 * found.above <= len(scored)
    for comparison, group in every_group(found):
        assert 0 <= group.favoured <= group.size
        assert (group.rate is None) == (group.size == 0)
        if group.impact_ratio is not None:
            assert 0 <= group.impact_ratio <= 1
            assert group.is_flagged == (group.impact_ratio < Fraction(4, 5))
        if group.labels == comparison.highest:
            assert group.impact_ratio == 1
            assert group.p_value is None
            assert group.rate
        if group.p_value is not None:
            assert 0 < group.p_value <= 1
    for comparisons, members in ((found.scoring, scored), (found.selection, sample)):
        for comparison in comparisons:
            known = sum(group.size for group in comparison.groups)
            assert known + comparison.unknown == len(members)
        # Those of both kinds add up to those of each.
        sexes, _, both = comparisons
        for group in both.groups:
            of_sex = by_name(sexes)[group.labels[0]]
            assert group.size <= of_sex.size
            assert group.favoured <= of_sex.favoured


@given(PEOPLE, st.randoms(use_true_random=False))
def test_the_order_of_the_people_does_not_matter(sample: list[Person], random: object) -> None:
    shuffled = list(sample)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert made(sample) == made(shuffled)


@given(PEOPLE)
def test_scores_count_by_their_order_alone(sample: list[Person]) -> None:
    """Another scale, on which all totals are as far apart as before, changes no rate."""
    scaled = [
        one._replace(total=None if one.total is None else 7 * one.total + 2) for one in sample
    ]
    assert made(sample).scoring == made(scaled).scoring


@given(PEOPLE, st.integers(2, 4))
def test_a_sample_that_is_there_several_times_has_the_same_ratios(
    sample: list[Person], times: int
) -> None:
    once, often = made(sample), made(sample * times)
    for (_, one), (_, other) in zip(every_group(once), every_group(often), strict=True):
        assert (one.rate, one.impact_ratio) == (other.rate, other.impact_ratio)
