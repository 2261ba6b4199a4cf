"""Times as text: how they are stored, and how clients read them. All are UTC."""

from datetime import UTC, datetime


def stored_now() -> str:
    """Return the time as it is stored: `YYYY-MM-DD HH:MM:SS.ffffff`."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def exact_time(moment: datetime) -> str:
    """Return a time as clients read it to the microsecond: `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_clients_read(stored: str) -> str:
    """Return a stored time as `YYYY-MM-DDTHH:MM:SSZ`."""
    return f"{stored[:10]}T{stored[11:19]}Z"
