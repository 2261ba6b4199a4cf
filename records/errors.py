"""Why something was not recorded, or not erased."""

from errors import Conflict, NotFound


class UnknownApplicant(NotFound):
    """A decision about somebody who has neither an interview nor an invitation."""

    sentence = "There is no such applicant: nobody with this name and address was invited or heard."


class Held(Conflict):
    """An erasure of somebody who is under a legal hold, or whose position is."""

    sentence = (
        "Nothing was erased: there is a legal hold on the interview or its position, with a reason."
    )


class HeldAlready(Conflict):
    """A second hold on the same interview or position."""

    sentence = "There is a legal hold on it already, with a reason. It can be ended first."


class NotHeld(NotFound):
    """An end to a hold that is not there."""

    sentence = "There is no legal hold on exactly this interview or position."


class NothingToHold(NotFound):
    """A hold on an access key under which there is nothing."""

    sentence = "There is nothing to hold: the access key has neither a position nor an applicant."
