"""Errors of requests for scorecards."""

from errors import Conflict, NotFound
from web.errors import BadField


class NoInterview(NotFound):
    """A scorecard of an interview that nobody has started."""

    sentence = "There is no such interview."


class NoPosition(NotFound):
    """A scorecard of an interview under an access key that has no position."""

    sentence = "There is no position under this access key, and so no rubric to rate by."


class NoRubric(NotFound):
    """A scorecard of an interview whose position has no rubric."""

    sentence = "The position has no rubric to rate by."


class NotFinished(Conflict):
    """A scorecard of an interview that is still going on."""

    sentence = "The interview is not finished. It can be rated once the interviewer has closed it."


class NoScorecard(NotFound):
    """A scorecard that the interview does not have."""

    sentence = "The interview has no such scorecard."


class NotReviewable(Conflict):
    """A review of a scorecard that has no result."""

    sentence = "The scorecard is pending or has failed: it has no score that could be reviewed."


class NoCriterion(BadField):
    """A review of a criterion that the scorecard does not have."""

    sentence = "criterion must be the id of one of the scorecard's criteria."
