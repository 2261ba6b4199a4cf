"""Unexpected errors."""

import logging

import pytest

from access.guard import everybody
from app import create_app
from config import Config
from interviews.errors import Overloaded
from web.error_handlers import event_of
from web.service import service


def test_an_unexpected_error_is_told_without_its_cause_and_logged_with_it(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(config)

    @app.get("/broken/<name>")
    @everybody
    def broken(name: str) -> str:
        raise RuntimeError("the cause")

    answer = app.test_client().get("/broken/Ana")
    assert answer.status_code == 500
    assert answer.get_json() == {"error": "Internal server error"}
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "/broken/<name>" in record.getMessage()
    assert "Ana" not in record.getMessage()
    assert record.exc_info is not None
    assert "the cause" in str(record.exc_info[1])
    service(app).close()


def test_what_nobody_has_foreseen_is_told_after_the_response_has_begun_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert event_of(ValueError("of a secret")) == {"error": "Internal server error"}
    assert "of a secret" in caplog.text  # the log has the traceback
    assert event_of(Overloaded()) == {"error": Overloaded.sentence}
