"""A position's sample: who was assessed, with which result, and to which groups they belong.

Everyone counts whose interview is finished: their selection, and, if the scorecard that counts has
a total, their score. Who has not finished was not assessed.
"""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from db import Database, Messages, PositionTerms
from records.impact.figures import By, Person
from records.impact.groups import Groups, folded
from records.impact.queries import NewestDecisions
from scorecards.queries import Scorecards
from scorecards.views import rows

UNDECIDED = "undecided"


class NobodyFinished(Exception):
    """Nobody has finished an interview under the access key."""


class Sample(NamedTuple):
    """The people, and how many there are of whom."""

    access_key: str
    title: str | None
    people: Sequence[Person]
    unfinished: int
    """Applicants who are left out, as they have not finished."""
    unscored: int
    """Of the people, those without a scorecard that has a result."""
    without_total: int
    """Those whose scorecard has no total, as too little was said to go by."""
    in_review: int
    """Those whose scorecard still needs a person's review."""
    decisions: Counter[str]
    rubric_versions: Sequence[int]
    """Those by which the scorecards that count were made."""
    not_in_file: int
    """Those whose address is not in the file."""
    sharing: int
    """Those whose address another one of them has as well."""
    unmatched: Sequence[str]
    """Addresses of the file that no applicant has."""
    groupings: Sequence[By]


def read_sample(database: Database, access_key: str, groups: Groups) -> Sample:
    """Return the sample of an access key.

    Raises:
        NobodyFinished: There is none.

    """
    with database.snapshot() as session:
        applicants = Messages(session).applicants(access_key)
        summaries = Scorecards(session).summaries(access_key)
        decisions = NewestDecisions(session).under(access_key)
        terms = PositionTerms(session).of(access_key)
    finished = [(one.name, one.email) for one in applicants if one.is_finished]
    if not finished:
        raise NobodyFinished
    people = []
    counted = rows(finished, summaries)
    for row in counted:
        sex, race = groups.by_address.get(folded(row.email), (None, None))
        total = None if row.total is None else Fraction(row.total)
        is_selected = decisions.get((row.name, row.email)) == "selected"
        people.append(Person(sex, race, total, is_selected))
    addresses = Counter(folded(row.email) for row in counted)
    every = {folded(one.email) for one in applicants}
    states = Counter(row.state for row in counted)
    scored = [row for row in counted if row.state in ("scored", "needs_review")]
    return Sample(
        access_key,
        terms.title if terms else None,
        people,
        len(applicants) - len(finished),
        len(counted) - len(scored),
        sum(row.total is None for row in scored),
        states["needs_review"],
        Counter(decisions.get((row.name, row.email), UNDECIDED) for row in counted),
        sorted({row.rubric_version for row in scored if row.rubric_version}),
        sum(count for address, count in addresses.items() if address not in groups.by_address),
        sum(count for count in addresses.values() if count > 1),
        sorted(groups.addresses[one] for one in groups.by_address if one not in every),
        _groupings(groups),
    )


def _groupings(groups: Groups) -> list[By]:
    found: list[By] = []
    if groups.has_sex:
        found.append("sex")
    if groups.has_race:
        found.append("race")
    if len(found) > 1:
        found.append("both")
    return found
