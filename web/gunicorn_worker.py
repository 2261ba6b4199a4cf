"""gunicorn's threaded worker, mended where a slow or broken client would harm others."""

import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

from interviews.shared_calls import THREAD_NAME

# Seconds that a client gets to read the last response before its connection is closed.
LINGER = 1.0

# What is no HTTP is 400, but for these.
STATUSES = {
    LimitRequestLine: "414 URI Too Long",
    ExpectationFailed: "417 Expectation Failed",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
}


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Threads, whose connections end without holding up the others."""

    def load_wsgi(self) -> None:
        """Let the app close a connection: gunicorn by itself drops its `Connection: close`."""
        super().load_wsgi()
        app: Callable[..., Any] = self.wsgi

        def closing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
                if ("Connection", "close") in headers:
                    start_response.__self__.force_close()  # type: ignore[attr-defined]
                return start_response(status, headers, *error)

            return app(environ, start)

        self.wsgi: Callable[..., Any] = closing

    def run(self) -> None:
        """Serve, and once stopped, wait for the answers that nobody listens to any more.

        Python itself would wait for their threads. But the arbiter kills a worker that it does not
        hear of, when it reloads, say.
        """
        super().run()
        for thread in threading.enumerate():
            while thread.name == THREAD_NAME and thread.is_alive():
                self.notify()
                thread.join(1)

    def handle(self, conn: Any) -> Any:
        """Serve a request, and see the connection off in this thread if it was the last one.

        gunicorn would do so in its main thread, two seconds for each client that has stalled, and
        meanwhile serve nobody.
        """
        keep = super().handle(conn)
        if keep is False:
            _see_off(conn.sock)
        return keep

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer in JSON to what is no HTTP, and so never reaches the app; gunicorn would in HTML.

        What it says of the request in its log may hold a name; only the kind of error is told.
        """
        is_ours = isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName)
        if is_ours or not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Invalid request (%s)", type(exc).__name__)
        status = STATUSES.get(type(exc), "400 Bad Request")
        body = json.dumps({"error": f"The request cannot be read: {status[4:]}."}) + "\n"
        with suppress(OSError):  # the client has gone
            client.sendall(
                f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\n"
                f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}".encode()
            )


def _see_off(connection: socket.socket) -> None:
    """Send the end, and read on for a moment: data that is unread would cut the response off."""
    give_up = time.monotonic() + LINGER
    with suppress(OSError):  # the client has gone, or says nothing
        connection.shutdown(socket.SHUT_WR)
        while (left := give_up - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(65_536):
                break
    with suppress(OSError):
        # Now gunicorn, which looks as well, finds the end at once.
        connection.shutdown(socket.SHUT_RD)


def limit_silence(listener: socket.socket, seconds: float) -> None:
    """Let reads and writes of the connections that the listener accepts fail after a silence.

    Without it, as many half-sent requests as there are threads stop the service.
    """
    whole, part = divmod(seconds, 1)
    timeout = struct.pack("ll", int(whole), int(part * 1_000_000))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)


def without_personal_data(record: logging.LogRecord) -> bool:
    """Take what a client has sent out of gunicorn's own log: a filter for `gunicorn.error`."""
    message = record.getMessage()
    for beginning in ("Invalid request", "Error handling request", "Socket error"):
        if message.startswith(beginning):
            cause = record.exc_info[1] if record.exc_info else None
            record.msg = f"{beginning} ({type(cause).__name__})" if cause else beginning
            record.args = ()
            record.exc_info = None
    return True
