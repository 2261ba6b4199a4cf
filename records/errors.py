"""Why a decision was not recorded."""

from errors import NotFound


class UnknownApplicant(NotFound):
    """A decision about somebody who has neither an interview nor an invitation."""

    sentence = "There is no such applicant: nobody with this name and address was invited or heard."


class NothingKept(NotFound):
    """An export of somebody, or of an access key, of whom there is nothing."""

    sentence = "Nothing is kept of this."
