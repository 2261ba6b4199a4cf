"""The service's parts, made once by `create_app()` and reached by every view."""

from dataclasses import dataclass

from flask import Flask, current_app

from access.applicant_tokens import ApplicantTokens
from access.board_sessions import BoardSessions
from access.rate_limits import RateLimits
from background.worker import Worker
from config import Config
from db import Database
from interviews.interview import Interviews
from llm import LLM

_NAME = "tukma"  # in `app.extensions`


@dataclass(frozen=True)
class Service:
    """The parts that the views work with."""

    config: Config
    database: Database
    llm: LLM
    scoring_llm: LLM
    """The same one, unless `SCORING_MODEL` is set."""
    interviews: Interviews
    tokens: ApplicantTokens
    limits: RateLimits
    sessions: BoardSessions
    worker: Worker
    """Background work. The server starts it in each process that is to do some."""

    def close(self) -> None:
        """Stop background work, and close the connections to the database and to the model."""
        self.worker.stop()
        self.worker.join()
        self.interviews.close()
        self.scoring_llm.close()


def register_service(app: Flask, parts: Service) -> None:
    """Give the app its service."""
    app.extensions[_NAME] = parts


def service(app: Flask | None = None) -> Service:
    """Return the service of an app; without one, of the app that serves the current request."""
    parts: Service = (app or current_app).extensions[_NAME]
    return parts
