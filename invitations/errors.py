"""Reasons why an invitation cannot be made or opened."""

from errors import Conflict, Gone, NotFound


class InvitationsOff(NotFound):
    """This instance has keys, and nothing to sign applicants' tokens with."""

    sentence = "Invitations are off: with API_KEYS, they need the setting SECRET_KEY as well."


class NotInvited(NotFound):
    """A revocation for an applicant who has no invitation."""

    sentence = "There is no invitation for this applicant."


class UnknownInvitation(NotFound):
    """A secret that no invitation has."""

    sentence = "There is no such invitation."
    reason = "unknown"


class InvitationReplaced(Gone):
    """A newer invitation was made for the same applicant."""

    sentence = "A newer invitation has replaced this one."
    reason = "replaced"


class InvitationRevoked(Gone):
    """A recruiter has taken the invitation back."""

    sentence = "The invitation was revoked."
    reason = "revoked"


class InvitationExpired(Gone):
    """The invitation's time is over."""

    sentence = "The invitation has expired."
    reason = "expired"


class InvitationClosed(Conflict):
    """The position takes no more interviews, and this one was not started."""

    sentence = "The position is closed."
    reason = "closed"
