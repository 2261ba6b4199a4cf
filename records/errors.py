"""Why a decision was not recorded, or is not explained."""

from errors import NotFound


class UnknownApplicant(NotFound):
    """A decision about somebody who has neither an interview nor an invitation."""

    sentence = "There is no such applicant: nobody with this name and address was invited or heard."


class NotInterviewed(NotFound):
    """An explanation of an interview that nobody has started."""

    sentence = "There is no such interview."
