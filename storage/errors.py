"""Errors of the database."""

from errors import Unavailable


class DatabaseUnavailable(Unavailable):
    """The database cannot be used at the moment; what it has acknowledged is kept."""

    retry_after = 5

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The database is not available ({reason}). "
            "What was stored before is kept. Please try again."
        )
