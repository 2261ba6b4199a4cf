"""The log: one line a request, on stdout, as JSON or, on a terminal, to be read.

No line holds a name, an e-mail address, a message, a prompt or a key: the route is logged, and
never the URL, which has the first two.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g, request

from monitoring import metrics, request_record

log = logging.getLogger("request")

# What a request id of others may be; anything else could forge lines, or fill the log.
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def set_up_logging() -> None:
    """Write all of this process's log to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ReadableFormatter() if sys.stdout.isatty() else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A line for every call that is made to the model.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """A JSON object a line."""

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
        return json.dumps(line, ensure_ascii=False)


class ReadableFormatter(logging.Formatter):
    """A line for a person, with the fields of a request behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        told = " ".join(f"{name}={value}" for name, value in fields.items() if value not in ("", 0))
        return f"{super().format(record)} {told}".rstrip()


def register_request_log(app: Flask) -> None:
    """Log and measure every request, and return its `X-Request-ID`."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.record = request_record.begin(given if SANE_REQUEST_ID.fullmatch(given) else uuid4().hex)
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    record: request_record.Record = g.record
    # Neither a method nor a path of the client's own making may become a label.
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.url_rule else "any"
    response.headers["X-Request-ID"] = record.request_id
    tell = partial(_tell, record, g.began, method, route, response.status_code)
    if response.mimetype == "text/event-stream":
        response.call_on_close(partial(_when_over, record, tell))
    else:
        tell()
    return response


def _when_over(record: request_record.Record, then: Callable[[], None]) -> None:
    """Do this once the call that the request has begun, if any, has ended as well."""
    if record.call is None:
        then()
    else:
        record.call.add_done_callback(lambda _: then())


def _tell(
    record: request_record.Record, began: float, method: str, route: str, status: int
) -> None:
    seconds = time.perf_counter() - began
    log.info(
        "%s %s %d",
        method,
        route,
        status,
        extra={
            "fields": {
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
        },
    )
    metrics.count_request(method, route, status, seconds, record.waited)
