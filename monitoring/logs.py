"""The log: one line a request, on stdout, as JSON or, on a terminal, for people.

No line holds a name, an e-mail address, a message, a prompt or a key: the route is logged, and
never the URL, which has the first two.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask, Response, request

from monitoring import metrics, request_record

log = logging.getLogger("request")

# A request id that a client may choose; anything else could forge lines, or fill the log.
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def set_up_logging() -> None:
    """Write all of this process's log to stdout."""
    # No line shows these, ours or gunicorn's, and each record would look them up.
    logging.logThreads = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ReadableFormatter() if sys.stdout.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line for every call that is made to the model.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


_encode = json.JSONEncoder(ensure_ascii=False).encode


class JsonFormatter(logging.Formatter):
    """Each line a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_record.current().request_id,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line)


class ReadableFormatter(logging.Formatter):
    """A line for a person, with the fields of a request behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        shown = " ".join(
            f"{name}={value}" for name, value in fields.items() if value not in ("", 0)
        )
        return f"{super().format(record)} {shown}".rstrip()


def register_request_log(app: Flask) -> None:
    """Log and measure every request, and return its `X-Request-ID`."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get("X-Request-ID")
    is_sane = given is not None and SANE_REQUEST_ID.fullmatch(given) is not None
    request_record.begin(given if given is not None and is_sane else os.urandom(16).hex())


def _end(response: Response) -> Response:
    record = request_record.current()
    rule = request.url_rule
    # Neither a method nor a path of the client's own making may become a label.
    method, route = (request.method, rule.rule) if rule else ("any", "none")
    response.headers["X-Request-ID"] = record.request_id
    if response.is_streamed and response.mimetype == "text/event-stream":
        log_it = partial(_log_request, record, method, route, response.status_code)
        response.call_on_close(partial(_when_over, record, log_it))
    else:
        _log_request(record, method, route, response.status_code)
    return response


def _when_over(record: request_record.Record, then: Callable[[], None]) -> None:
    """Call `then` once the call that the request has begun, if any, has ended as well."""
    if record.call is None:
        then()
    else:
        record.call.add_done_callback(lambda _: then())


def _log_request(record: request_record.Record, method: str, route: str, status: int) -> None:
    seconds = time.perf_counter() - record.began
    metrics.count_request(method, route, status, seconds, record.waited)
    # Made by hand: `log.info` would look for its caller first.
    line = logging.LogRecord(
        log.name, logging.INFO, __file__, 0, "%s %s %d", (method, route, status), None
    )
    line.fields = {
        "method": method,
        "route": route,
        "status": status,
        "stream": record.stream,
        "caller": record.caller,
        "ms": round(seconds * 1000, 1),
        "model_ms": round(record.waited * 1000, 1),
        "model": record.model,
        "tokens_in": record.tokens_in,
        "tokens_out": record.tokens_out,
    }
    log.handle(line)
