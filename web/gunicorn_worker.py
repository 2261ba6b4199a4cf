"""gunicorn's threaded worker, mended where a slow or broken client would harm others.

A thread is given to a request once all of it is here, and taken back once the response is written.
Until then, and afterwards, the connection costs its bytes and a place among those that the main
thread watches; where places or bytes run out, those that keep them for nothing are closed.
"""

import ctypes
import errno
import json
import logging
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import http
from gunicorn.http.errors import (
    ExpectationFailed,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from background.worker import Worker as BackgroundWorker
from interviews.shared_calls import THREAD_NAME
from web.arriving_request import PIECE, ArrivingRequest, BodyLimits

# Seconds that a client gets to read the last response before its connection is closed.
LINGER = 1.0

# Seconds between two looks for connections whose time is over.
SWEEP = 0.5

# Bytes that one process keeps of requests that are not here as a whole. The largest of them makes
# room for others.
MAX_BYTES_ARRIVING = 64 * 1024 * 1024

# Seconds for which a process that has accepted a connection, and not its first, leaves the next one
# to the other processes. Else the first one to wake up accepts all of a burst, and for as long as
# they stay open one core serves them all.
OTHERS_TURN = 0.0003

# Seconds to wait where the system has no more file descriptors and no connection can be given up.
NO_DESCRIPTOR = 0.05

# The number of glibc's parameter for how many heaps there may be, in its malloc.h.
M_ARENA_MAX = -8

# A request that cannot be read is answered with 400, except for these.
STATUSES = {
    LimitRequestLine: "414 URI Too Long",
    ExpectationFailed: "417 Expectation Failed",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
}

# The result of `Worker.handle` for a request that is not here as a whole.
_ARRIVING = object()


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A client's connection, with the request that arrives on it."""

    def __init__(
        self, cfg: Any, sock: socket.socket, client: Any, server: Any, *, limits: BodyLimits
    ) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser: Any = None
        self.limits = limits
        self.request = ArrivingRequest(limits)
        self.deadline = 0.0
        """When the main thread stops watching it, in seconds of `time.monotonic()`."""
        self.held = 0
        """Bytes of its request that count towards `MAX_BYTES_ARRIVING`."""
        self.is_too_late = False
        """True once the request's time is over; the app then answers the part that has arrived."""

    def init(self) -> None:
        """Have the parser read what has arrived, instead of the socket."""
        if self.parser is None:
            self.parser = http.get_parser(self.cfg, self, self.client)
        self.initialized = True

    def recv(self, size: int) -> bytes:
        """Return bytes that have arrived."""
        return self.request.recv(size)

    def begin_next_request(self) -> None:
        """Begin with what came behind the request that has been answered."""
        begun = self.parser.unreader.take_buffered() + self.request.data
        has_ended = self.request.has_ended
        self.request = ArrivingRequest(self.limits, begun)
        self.request.has_ended = has_ended


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Threads for requests that have arrived; connections that end without holding up others."""

    # gunicorn.conf.py sets both to what the service's settings say.
    client_timeout = 10.0
    body_limits = BodyLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Those that the main thread watches besides the kept-alive ones; the quietest come first.
        self._arriving: dict[Connection, None] = {}
        self._leaving: dict[Connection, None] = {}
        self._bytes_arriving = 0
        self._next_sweep = 0.0
        self._given_up = 0
        self.background: BackgroundWorker | None = None
        """Set by gunicorn.conf.py if this process does background work."""

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
        """Serve, and once stopped, wait for the calls that no client listens to any more.

        Python itself would wait for their threads. But the arbiter kills a worker that sends it no
        heartbeat, on a reload for example.
        """
        super().run()
        for thread in threading.enumerate():
            while thread.name == THREAD_NAME and thread.is_alive():
                self.notify()
                thread.join(1)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop background work at once: the requests under way may take long to end."""
        super().handle_exit(sig, frame)
        if self.background is not None:
            self.background.stop()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse to serve TLS, whose bytes would be taken for those of a request."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            print("The service speaks no TLS: put a proxy in front of it.", file=sys.stderr)
            sys.exit(4)

    def accept(self, listener: Any) -> None:
        """Accept a connection, and wait for its request without a thread.

        One that has sent nothing for longest makes room if there are too many, so that clients who
        only connect keep nobody else out.
        """
        if self.nr_conns >= self.worker_connections - 1:
            self._give_up_quietest()
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                if not self._give_up_quietest():
                    time.sleep(NO_DESCRIPTOR)  # the listener stays readable
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        server = listener.getsockname()
        self._await_bytes(Connection(self.cfg, client, address, server, limits=self.body_limits))
        if self.nr_conns > 1 and self.cfg.workers > 1:
            time.sleep(OTHERS_TURN)

    def handle(self, conn: Connection) -> Any:
        """Serve a request if it is here as a whole, in a thread of the pool."""
        request = conn.request
        try:
            if request.take_from(conn.sock) and not conn.is_too_late:
                if request.expects_continue and not request.was_continued:
                    request.was_continued = True
                    conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                return _ARRIVING
        except OSError:  # the client has gone
            return False
        if not request.data:
            return False  # it has closed the connection, as it may between two requests
        conn.data_ready = True
        keep = super().handle(conn)
        if keep:
            conn.begin_next_request()
        return keep

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Serve a request that has been parsed."""
        if conn.request.was_continued:
            req._expected_100_continue = False  # gunicorn would say it once more
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Do in the main thread what follows once a thread is done with the connection."""
        result = False if fs.cancelled() or fs.exception() else fs.result()
        if result is _ARRIVING:
            self._await_bytes(conn)
        elif not result:
            self._see_off(conn)
        elif conn.request.data:
            self.enqueue_req(conn)  # the next request has come along with the last one
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Give up the connections whose time is over: gunicorn asks for it all the time."""
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP
        for conn in [conn for conn in self._leaving if conn.deadline <= now]:
            self._stop_watching(conn)
            self._close(conn)
        for conn in [conn for conn in self._arriving if conn.deadline <= now]:
            self._stop_watching(conn)
            self._end_wait(conn)
        if self._given_up:
            self.log.warning("Closed %d connections to make room for others", self._given_up)
            self._given_up = 0

    def _cap_keepalive(self, deadline: float) -> None:
        """Keep idle connections no longer than until `deadline`: the worker is stopping."""
        super()._cap_keepalive(deadline)
        for conn in self._arriving:
            if not conn.request.data:
                conn.deadline = min(conn.deadline, deadline)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer in JSON to a request that cannot be read, and so never reaches the app.

        gunicorn would answer in HTML, and log what may hold a name; only the kind of error is
        logged here.
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

    def _await_bytes(self, conn: Connection) -> None:
        """Watch a connection until bytes of its request come, or its time is over."""
        request = conn.request
        now = time.monotonic()
        conn.deadline = now + self.client_timeout
        if request.data:
            conn.deadline = min(conn.deadline, request.due)
        elif not self.alive:
            conn.deadline = min(conn.deadline, now + STOP_KEEPALIVE_LINGER)
        if conn.deadline <= now:  # a look now and then would miss one that always has new bytes
            self._end_wait(conn)
            return
        conn.held = len(request.data)
        self._bytes_arriving += conn.held
        self._arriving[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_bytes, conn))
        while self._bytes_arriving > MAX_BYTES_ARRIVING:
            self._give_up(max(self._arriving, key=lambda conn: conn.held))

    def _end_wait(self, conn: Connection) -> None:
        """Have the app answer what there is of a request whose time is over, or close."""
        if conn.request.has_head:
            conn.is_too_late = True
            self.enqueue_req(conn)
        else:
            self._close(conn)

    def _on_bytes(self, conn: Connection, _sock: socket.socket) -> None:
        if conn in self._arriving:  # unless it has made room in the same round of events
            self._stop_watching(conn)
            self.enqueue_req(conn)

    def _see_off(self, conn: Connection) -> None:
        """Send the end, and read on for a moment: data that is unread would cut the response off.

        gunicorn would do so two seconds for each client that has stalled, and meanwhile serve
        nobody.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone
            self._close(conn)
            return
        conn.deadline = time.monotonic() + LINGER
        self._leaving[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_last_bytes, conn))
        self._on_last_bytes(conn, conn.sock)

    def _on_last_bytes(self, conn: Connection, sock: socket.socket) -> None:
        if conn not in self._leaving:
            return
        try:
            has_ended = not sock.recv(PIECE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            has_ended = True
        if has_ended:
            self._stop_watching(conn)
            self._close(conn)

    def _give_up_quietest(self) -> bool:
        """Close the connection that has been quiet for longest, and return whether there is one."""
        for watched in (self._leaving, self._arriving):
            for conn in watched:
                self._give_up(conn)
                return True
        return False

    def _give_up(self, conn: Connection) -> None:
        self._given_up += 1
        self._stop_watching(conn)
        self._close(conn)

    def _stop_watching(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self._bytes_arriving -= conn.held
        conn.held = 0
        self._arriving.pop(conn, None)
        self._leaving.pop(conn, None)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()


def allow_many_connections() -> None:
    """Let this process and its children open as many files as the system lets them.

    The usual limit of 1,024 is for programs that use `select()`, and one connection is a file.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS calls it unlimited, and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def share_one_heap() -> None:
    """Let all threads of this process and its children take their memory from one heap.

    With glibc's own, up to eight for each core, what a thread has freed is kept for the few that
    share its heap, while others ask the system for more. One thread at a time runs Python anyhow.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def limit_writes(listener: socket.socket, seconds: float) -> None:
    """Let a write fail that a client has not read for so long.

    Connections inherit it from the listener that accepts them. Without it, as many clients that do
    not read as there are threads stop the service.
    """
    whole, part = divmod(seconds, 1)
    timeout = struct.pack("ll", int(whole), int(part * 1_000_000))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)


def without_personal_data(record: logging.LogRecord) -> bool:
    """Remove what a client has sent from gunicorn's own log: a filter for `gunicorn.error`."""
    message = record.getMessage()
    for beginning in ("Invalid request", "Error handling request", "Socket error"):
        if message.startswith(beginning):
            cause = record.exc_info[1] if record.exc_info else None
            record.msg = f"{beginning} ({type(cause).__name__})" if cause else beginning
            record.args = ()
            record.exc_info = None
    return True
