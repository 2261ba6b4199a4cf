"""Bounds for a whole call over the network: a deadline, and a number of bytes.

The timeouts of httpx2, on which the OpenAI client is built, bound each single read; a server that
sends a byte now and then can make a call last for ever. Here every connect, read and write gets
only the time that is left until the deadline of the thread that makes the call. Nor does httpx2
bound the size of a response, which is held in memory.
"""

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ssl import SSLContext

import httpcore2
import httpx2

# Bytes of one write: the time that is left is looked at between two of them.
WRITE_BYTES = 65_536

# Bytes that one call may read. A stream has some 300 for each token, so that this is some 50,000
# tokens, dozens of times an interviewer's longest message.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class ResponseTooLong(Exception):
    """The server has sent more than `MAX_RESPONSE_BYTES`."""


@dataclass
class _Call:
    """The bounds of the call that a thread makes."""

    deadline: float
    bytes_left: int = MAX_RESPONSE_BYTES


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


@contextmanager
def network_deadline(deadline: float) -> Iterator[None]:
    """Fail what the block does on the network once `time.monotonic()` has passed `deadline`.

    Only clients that were passed to `bound_by_deadline` heed it. They raise `httpx2.ReadTimeout`,
    `WriteTimeout` or `ConnectTimeout`, and `ResponseTooLong` if the block reads too much.
    """
    token = _call.set(_Call(deadline))
    try:
        yield
    finally:
        _call.reset(token)


def bound_by_deadline(client: httpx2.Client) -> None:
    """Make `client`, its proxies' connections included, heed `network_deadline`."""
    # httpcore2 takes a backend of one's own, but httpx2 has no way to hand one through. So this
    # reaches into both, and requirements.txt names their exact versions.
    for transport in {client._transport, *client._mounts.values()} - {None}:
        if not isinstance(transport, httpx2.HTTPTransport):
            raise TypeError(f"cannot bound a {type(transport).__name__}")
        pool = transport._pool
        pool._network_backend = _DeadlineBackend(pool._network_backend)


def _left(
    timeout: float | None,
    error: type[httpcore2.TimeoutException],
) -> float | None:
    """Return the seconds that an operation may take: its own timeout or less."""
    call = _call.get()
    if call is None:
        return timeout
    left = call.deadline - time.monotonic()
    if left <= 0:
        raise error("the deadline has passed")
    return left if timeout is None else min(timeout, left)


class _DeadlineStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        content = self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))
        call = _call.get()
        if call is not None:
            call.bytes_left -= len(content)
            if call.bytes_left < 0:
                raise ResponseTooLong
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            left = _left(timeout, httpcore2.WriteTimeout)
            self._stream.write(buffer[start : start + WRITE_BYTES], left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        # One by one: given the name, the backend would give each address all the time. The
        # resolver is bounded by its own timeouts alone.
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failure: Exception | None = None
        for *_, address in found:
            left = _left(timeout, httpcore2.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(
                    str(address[0]), port, left, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream)
        raise failure or httpcore2.ConnectError("the name has no address")

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)
