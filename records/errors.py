"""Why something was not recorded, not explained, or not erased."""

from errors import Conflict, NotFound


class UnknownApplicant(NotFound):
    """A decision about somebody who has neither an interview nor an invitation."""

    sentence = "There is no such applicant: nobody with this name and address was invited or heard."


class UnknownNotice(NotFound):
    """A version of a notice that the position has never had."""

    sentence = "The position's notice has no such version."


class NoticeReplaced(Conflict):
    """Consent to a version that applicants are no longer shown."""

    sentence = "There is a newer version of the notice. Nothing was stored; please read it first."


class NobodyToAsk(NotFound):
    """A request for another way where nobody would see it."""

    sentence = (
        "There is neither a position with this access key nor an interview of this applicant."
    )


class NoInterview(NotFound):
    """An interview that nobody has started, and that has nothing to be explained or corrected."""

    sentence = "There is no such interview."


class NoMessage(NotFound):
    """A note to a message that the interview does not have."""

    sentence = "The interview has no message with this id."


class NotTheApplicants(Conflict):
    """A note to what the interviewer has said."""

    sentence = "Notes can be put to the applicant's own messages only."


class NotOver(Conflict):
    """A note while the interview is going on, in which everything can be said."""

    sentence = "The interview is not over. What is to be added can be said in it."


class CorrectionsOff(Conflict):
    """A note to an interview of a position that takes none."""

    sentence = "The position takes no notes to messages."


class CorrectionsOver(Conflict):
    """A note that comes too late."""

    sentence = "The time in which notes could be put to messages is over."


class TooManyNotes(Conflict):
    """A note beyond those that one interview may have."""

    sentence = "The interview has as many notes as it may have."


class NothingKept(NotFound):
    """An export of somebody, or of an access key, of whom there is nothing."""

    sentence = "Nothing is kept of this."


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
