"""Why a request was not let in."""

from errors import Forbidden, NotFound, TooManyRequests, Unauthenticated


class WrongCredential(Unauthenticated):
    """Neither a key nor a token that opens anything: one answer, whatever is wrong with it."""

    sentence = (
        "A valid API key or applicant's token is needed, "
        "as Authorization: Bearer <key> or as X-API-Key: <key>."
    )


class TokenExpired(WrongCredential):
    """An applicant's token past its time; told only to a client that had a valid one."""

    sentence = "The token has expired."


class TokenRevoked(WrongCredential):
    """An applicant's token that was revoked; told only to a client that had a valid one."""

    sentence = "The token has been revoked."


class NotAllowed(Forbidden):
    """An applicant's token does not open the endpoint, or not this interview."""

    sentence = "The token opens one interview's reply, get_messages and interview_status only."


class TokensOff(NotFound):
    """This instance has no applicants' tokens."""

    sentence = "Applicants' tokens are off: they need the settings API_KEYS and SECRET_KEY."


class RateLimited(TooManyRequests):
    """There were more requests than a limit allows."""

    def __init__(self, sentence: str, limit: int, reset: int) -> None:
        """Make the error.

        Args:
            sentence: What there was too much of.
            limit: The number of requests that the limit allows.
            reset: Seconds until more are allowed.

        """
        super().__init__(f"{sentence} Nothing was stored; please try again in {reset} s.")
        self.limit = limit
        self.retry_after = reset
