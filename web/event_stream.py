"""Replies as server-sent events, for clients that accept `text/event-stream`.

A `delta` event has a piece of the reply, as it comes. The last event is `done`, with the body of
the plain response, or `error`.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator

from flask import Response, request

from config import Config
from interviews.turns import Pieces
from monitoring import request_record
from web.bodies import Json
from web.error_handlers import event_of

EVENTS = "text/event-stream"

# Clients ignore it; to proxies it shows that the connection is alive.
COMMENT = b": still under way\n\n"

# JSON leaves these as they are, but many clients split lines at them.
LINE_BREAKS = (("\x85", r"\u0085"), ("\u2028", r"\u2028"), ("\u2029", r"\u2029"))

# Seconds that a client has to read the last event once the deadline has passed.
LAST_EVENT_TIMEOUT = 1.0

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def is_wanted() -> bool:
    """Return whether the request asks for events: by name, and no less than for JSON."""
    if EVENTS not in request.headers.get("Accept", "").lower():
        return False
    quality = {
        accepted.partition(";")[0].strip().lower(): quality
        for accepted, quality in request.accept_mimetypes
    }
    wanted = quality.get(EVENTS, 0)
    return wanted > 0 and wanted >= quality.get("application/json", 0)


def event_stream(pieces: Pieces, body: Callable[[str], Json], config: Config) -> Response:
    """Answer with each piece as an event, and last with the body that the whole reply makes.

    The response begins with the first piece, or with the first heartbeat if that comes earlier. A
    failure before then is raised, and keeps its status; one after it is an `error` event.
    """
    client = _Client(config)
    first = next(pieces)
    response = Response(
        _events(first, pieces, body, client, request_record.current()), mimetype=EVENTS
    )
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # else nginx collects what it passes on
    response.call_on_close(pieces.close)
    return response


def _events(
    batch: list[str],
    pieces: Pieces,
    body: Callable[[str], Json],
    client: "_Client",
    record: request_record.Record,
) -> Iterator[bytes]:
    record.stream = "left"  # unless it comes to its end
    try:
        while True:
            client.must_read()
            yield b"".join(_event("delta", {"content": piece}) for piece in batch) or COMMENT
            batch = next(pieces)
    except StopIteration as end:
        record.stream = "done"
        last = _event("done", body(end.value))
    # The response has begun: Flask would call no error handler, and the connection would break.
    except Exception as error:
        record.stream = "error"
        last = _event("error", event_of(error))
    client.must_read()
    yield last


def _event(name: str, data: Json) -> bytes:
    text = _encode(data)
    for line_break, escape in LINE_BREAKS:
        text = text.replace(line_break, escape)
    return f"event: {name}\ndata: {text}\n\n".encode()


class _Client:
    """The connection to a client, which has to read or lose it."""

    def __init__(self, config: Config) -> None:
        self._give_up = time.monotonic() + config.reply_deadline
        self._patience = config.client_timeout
        environ = request.environ
        self._connection: socket.socket | None = environ.get(
            "gunicorn.socket", environ.get("werkzeug.socket")
        )

    def must_read(self) -> None:
        """Let the next write fail if the client does not read it in time."""
        if self._connection is not None:
            left = max(LAST_EVENT_TIMEOUT, self._give_up - time.monotonic())
            self._connection.settimeout(min(self._patience, left))
