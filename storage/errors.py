"""Errors of the database."""

from errors import Unavailable


class DatabaseUnavailable(Unavailable):
    """The database cannot be used at the moment; what it has acknowledged is kept."""

    advice = "What was stored before is kept. Please try again."
    """The end of the sentence: what is stored, and what to do."""

    retry_after = 5

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database is not available ({reason}). {self.advice}")


class CommitUnknown(DatabaseUnavailable):
    """The connection broke during a commit, and its outcome could not be asked for in time."""

    advice = (
        "Whether this request was stored is not known; please send it again with the same"
        " Idempotency-Key."
    )
