"""Whether the service lives, and whether it can work. Neither question is put to the model."""

from flask import Blueprint, current_app

from db import Database

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer, which is all that is asked."""
    return {"status": "ok"}


@health.get("/readyz")
def readyz() -> dict[str, str]:
    """Answer once the database has been read and written; 503 with the reason if it cannot be.

    That the model's key is set has been seen to at the start.
    """
    database: Database = current_app.extensions["database"]
    database.check_writable()
    return {"status": "ready"}
