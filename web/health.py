"""The health checks of a platform: the service lives; it can work. Neither asks the model."""

from flask import Blueprint

from access.guard import everybody
from web.service import service

health = Blueprint("health", __name__)


@health.get("/healthz")
@everybody
def healthz() -> dict[str, str]:
    """Answer, which shows that the process serves."""
    return {"status": "ok"}


@health.get("/readyz")
@everybody
def readyz() -> dict[str, str]:
    """Answer once the database has been read and written; 503 with the reason if it cannot be.

    The model's key needs no check: without one the service does not start.
    """
    service().database.check_writable()
    return {"status": "ready"}
