"""A request on its way in: the bytes that have come so far, and whether they are all of it.

Finds the end of a request and judges nothing: gunicorn's parser, which reads the same bytes once
they are here, says what is valid. Where the two might differ, the parser gets what there is.
"""

import re
import socket
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

# Seconds within which a request's head, or a small body, must be here, however it trickles.
TIME_TO_ARRIVE = 30.0

# Bytes a second that a body must come at on average, on top of that: 1 MiB has 94 seconds.
LEAST_RATE = 16_384

# Bytes that are taken from a socket at once.
PIECE = 65_536

# Bytes of a head after which the parser is asked, whether it has ended or not. gunicorn takes 100
# header fields of 8 kB, and refuses more by itself.
MAX_HEAD = 1_048_576

# Bytes of a line after which the parser is asked, for the same reason.
MAX_LINE = 8_192

# Bytes of a chunked body beyond the limit that must be here before the app is asked to refuse it:
# it finds out by reading on, in pieces of its own size.
BEYOND_LIMIT = 131_072

# Bytes that a chunked body may take for each byte of its limit. In chunks of one byte it takes six.
MOST_OF_CHUNKS = 8

_BARE_LF = re.compile(rb"(?<!\r)\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n")
_EXPECTS_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-f]{1,15})[ \t]*(?:;.*)?", re.IGNORECASE)


class BodyLimits(NamedTuple):
    """Bytes that a body may have: longer ones are not waited for, as the app refuses them."""

    default: int = 1_048_576
    by_path: Mapping[bytes, int] = MappingProxyType({})


class ArrivingRequest:
    """One request of a connection; to the parser, a socket that never waits."""

    def __init__(self, limits: BodyLimits, begun: bytes = b"") -> None:
        self.data = bytearray(begun)
        self.first_byte_at = time.monotonic()
        self.expects_continue = False
        self.was_continued = False
        """True once the client has been sent `100 Continue`."""
        self.has_ended = False
        """True once the client has closed its side, so that no more will come."""
        self._limits = limits
        self._max_body_bytes = limits.default
        self._searched = 0
        self._body_at = 0  # 0 until the head has ended
        self._body_bytes = 0
        self._is_chunked = False
        self._chunk_at = 0
        self._bytes_of_chunks = 0

    @property
    def has_head(self) -> bool:
        """True once the whole head has arrived."""
        return self._body_at > 0

    @property
    def due(self) -> float:
        """When it must be here as a whole, in seconds of `time.monotonic()`."""
        return self.first_byte_at + TIME_TO_ARRIVE + len(self.data) / LEAST_RATE

    def take_from(self, connection: socket.socket) -> bool:
        """Take in what has come, without waiting, and return whether there is more to wait for."""
        while not self._is_whole():
            try:
                piece = connection.recv(PIECE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not piece:
                self.has_ended = True
                return False
            if not self.data:
                self.first_byte_at = time.monotonic()
            self.data += piece
        return False

    def recv(self, size: int) -> bytes:
        """Hand the parser what has come, as a socket would.

        Raises:
            TimeoutError: More is asked for than has come in time.

        """
        if not self.data and not self.has_ended:
            raise TimeoutError
        piece = bytes(self.data[:size])
        del self.data[:size]
        return piece

    def _is_whole(self) -> bool:
        """Return whether all of it has arrived, or enough to refuse it."""
        if not self._body_at and not self._find_body():
            return self._is_hopeless()
        if self._is_chunked:
            return self._have_chunks_ended()
        # The app refuses what is too long by its length alone.
        is_too_long = self._body_bytes > self._max_body_bytes
        return is_too_long or len(self.data) >= self._body_at + self._body_bytes

    def _find_body(self) -> bool:
        end = self.data.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            return False
        self._body_at = self._chunk_at = end + 4
        head = bytes(self.data[: self._body_at]).lower()
        self._is_chunked = b"\r\ntransfer-encoding:" in head
        length = _CONTENT_LENGTH.search(head)
        self._body_bytes = int(length[1]) if length else 0
        request_line = head.split(b"\r\n", 1)[0]
        _, _, target = request_line.partition(b" ")
        path = target.partition(b" ")[0].partition(b"?")[0]
        self._max_body_bytes = self._limits.by_path.get(path, self._limits.default)
        is_http_1_1 = request_line.endswith(b"http/1.1")
        self.expects_continue = is_http_1_1 and _EXPECTS_CONTINUE.search(head) is not None
        return True

    def _is_hopeless(self) -> bool:
        """Return whether the parser will refuse this beginning of a head, however it goes on."""
        is_broken = _BARE_LF.search(self.data, self._searched) is not None
        self._searched = len(self.data)
        if is_broken or self._searched > MAX_HEAD:
            return True
        return self._searched > MAX_LINE and self.data.find(b"\r\n", 0, MAX_LINE) < 0

    def _have_chunks_ended(self) -> bool:
        while (end := self.data.find(b"\r\n", self._chunk_at)) >= 0:
            size = _CHUNK_SIZE.fullmatch(self.data, self._chunk_at, end)
            if size is None:
                return True  # no chunk: the parser says so
            if int(size[1], 16) == 0:
                # An empty line ends the body, perhaps after trailers.
                return self.data.find(b"\r\n\r\n", end) >= 0 or len(self.data) - end > MAX_HEAD
            after = end + 2 + int(size[1], 16) + 2
            if after > len(self.data):
                break
            self._chunk_at = after
            self._bytes_of_chunks += int(size[1], 16)
        else:
            if len(self.data) - self._chunk_at > MAX_LINE:
                return True
        limit = self._max_body_bytes + BEYOND_LIMIT
        come = self._bytes_of_chunks + len(self.data) - self._chunk_at
        return come > limit or len(self.data) > MOST_OF_CHUNKS * limit
