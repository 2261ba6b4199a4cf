"""Reasons why a request is not let in."""

from errors import Forbidden, NotFound, TooManyRequests, Unauthenticated


class WrongCredential(Unauthenticated):
    """The request has no valid key or token. The answer is the same for every cause."""

    sentence = (
        "A valid API key or applicant's token is needed, "
        "as Authorization: Bearer <key> or as X-API-Key: <key>."
    )


class TokenExpired(WrongCredential):
    """An applicant's token has expired; only a client that had a valid one gets this answer."""

    sentence = "The token has expired."


class TokenRevoked(WrongCredential):
    """An applicant's token was revoked; only a client that had a valid one gets this answer."""

    sentence = "The token has been revoked."


class NotAllowed(Forbidden):
    """The applicant's token does not open this endpoint, or not this interview."""

    sentence = (
        "The token opens one interview only: start_interview, reply, get_messages and "
        "interview_status."
    )


class PromptNotAllowed(Forbidden):
    """A start with an applicant's token and a prompt."""

    sentence = "A token starts an interview with the position's prompt only. Leave prompt out."


class TokensOff(NotFound):
    """This instance has no applicants' tokens."""

    sentence = "Applicants' tokens are off: they need the settings API_KEYS and SECRET_KEY."


class RateLimited(TooManyRequests):
    """There were more requests than a limit allows."""

    def __init__(self, sentence: str, limit: int, reset: int) -> None:
        """Make the error.

        Args:
            sentence: Says which requests were too many.
            limit: The number of requests that the limit allows.
            reset: Seconds until more are allowed.

        """
        super().__init__(f"{sentence} Nothing was stored; please try again in {reset} s.")
        self.limit = limit
        self.retry_after = reset


class NotSignedIn(Unauthenticated):
    """A page of the board was asked for without a session."""

    sentence = "Please sign in."


class WrongKey(Unauthenticated):
    """A sign-in to the board with what is no key."""

    sentence = "This is not one of the service's API keys. Copy it again, as a whole."


class BoardOff(Forbidden):
    """There is no board, or not from where the request comes."""
