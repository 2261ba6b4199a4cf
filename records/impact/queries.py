"""The queries of a position's sample."""

from db import Session, position_digest


class NewestDecisions:
    """The decisions that count."""

    def __init__(self, session: Session) -> None:
        self._execute = session.execute

    def under(self, access_key: str) -> dict[tuple[str, str], str]:
        """Return the decision that counts about each applicant, by name and e-mail address."""
        rows = self._execute(
            "SELECT name, email, decision FROM decisions WHERE position = :position"
            " ORDER BY number",
            {"position": position_digest(access_key)},
        )
        return {(name, email): decision for name, email, decision in rows.fetchall()}
