"""Errors of requests for positions."""

from errors import Failed, NotFound


class NoPosition(NotFound):
    """The access key has no position."""

    sentence = "There is no position with this access key."


class NoDraft(Failed):
    """The model gave no rubric that a position could have."""

    sentence = "The model gave no rubric that can be used. Please try again."
