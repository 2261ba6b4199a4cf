"""Finding the end of a request, however its bytes come."""

import socket
import time
from collections.abc import Iterator

import pytest

from web import arriving_request
from web.arriving_request import ArrivingRequest, BodyLimits

LIMIT = 1000
LIMITS = BodyLimits(LIMIT, {b"/small": 10})

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 10\r\nHost: x\r\n\r\n0123456789"
EMPTY = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\n\r\n\r\n0\r\nA\r\n0123456789\r\n0\r\n\r\n"
)
TRAILERS = (
    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n"
)
AFTER_AN_EMPTY_LINE = b"\r\n" + POST
# The parser refuses these, and need not wait for more.
BARE_LF = b"GET / HTTP/1.1\n"
TOO_LONG_A_BODY = b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n"
TOO_LONG_FOR_ITS_PATH = b"POST /small?a=b HTTP/1.1\r\nContent-Length: 11\r\n\r\n"
NO_CHUNK = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
NEGATIVE_CHUNK = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n"


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    yield client, server
    client.close()
    server.close()


@pytest.mark.parametrize(
    "sent",
    [
        *(GET, POST, EMPTY, CHUNKED, TRAILERS, AFTER_AN_EMPTY_LINE),
        *(BARE_LF, TOO_LONG_A_BODY, TOO_LONG_FOR_ITS_PATH, NO_CHUNK, NEGATIVE_CHUNK),
    ],
)
def test_a_request_is_whole_with_its_last_byte_and_not_before(
    connection: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    client, server = connection
    byte_by_byte = ArrivingRequest(LIMITS)
    for number in range(len(sent)):
        assert byte_by_byte.take_from(server)
        client.send(sent[number : number + 1])
    assert not byte_by_byte.take_from(server)
    assert byte_by_byte.recv(10_000) == sent
    # In two pieces, wherever they are cut.
    for cut in range(1, len(sent)):
        in_two = ArrivingRequest(LIMITS)
        client.send(sent[:cut])
        assert in_two.take_from(server)
        client.send(sent[cut:])
        assert not in_two.take_from(server)


@pytest.mark.parametrize(
    "endless",
    [
        b"A" * 10_000,  # a line
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200_000,  # a head
        # A chunked body, its chunks' lines, their extensions, its trailers.
        CHUNKED[:48] + b"FFFFFF\r\n" + b"a" * 200_000,
        CHUNKED[:48] + b"1;" + b"a" * 10_000,
        CHUNKED[:48] + (b"1;" + b"a" * 5_000 + b"\r\na\r\n") * 2_000,
        CHUNKED[:48] + b"0\r\n" + b"A: b\r\n" * 200_000,
    ],
)
def test_what_never_ends_is_given_to_the_parser_at_some_point(
    connection: tuple[socket.socket, socket.socket], endless: bytes
) -> None:
    client, server = connection
    request = ArrivingRequest(LIMITS)
    for start in range(0, len(endless), 5_000):
        client.sendall(endless[start : start + 5_000])
        if not request.take_from(server):
            return
    raise AssertionError("It waits for ever")


def test_the_parser_gets_what_came_and_is_not_kept_waiting_for_more(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    client, server = connection
    request = ArrivingRequest(LIMITS)
    client.send(POST[:-1])
    assert request.take_from(server)
    assert request.has_head
    assert request.recv(5) == POST[:5]
    assert request.recv(1000) == POST[5:-1]
    with pytest.raises(TimeoutError):
        request.recv(1)
    client.close()
    assert not request.take_from(server)
    assert request.recv(1) == b""


def test_a_body_has_time_by_its_bytes(connection: tuple[socket.socket, socket.socket]) -> None:
    client, server = connection
    request = ArrivingRequest(BodyLimits())
    client.send(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
    request.take_from(server)
    begun = time.monotonic()
    assert request.due == pytest.approx(begun + arriving_request.TIME_TO_ARRIVE, abs=5)
    for _ in range(16):
        client.send(b"a" * 16_384)
        request.take_from(server)
    assert request.due == pytest.approx(begun + arriving_request.TIME_TO_ARRIVE + 16, abs=5)


@pytest.mark.parametrize(
    ("head", "expects"),
    [
        (b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\n", True),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n", False),
        (b"POST / HTTP/1.1\r\nX-Expect: 100-continue\r\n", False),
    ],
)
def test_only_http_1_1_expects_to_be_asked_for_the_body(
    connection: tuple[socket.socket, socket.socket], head: bytes, expects: bool
) -> None:
    client, server = connection
    request = ArrivingRequest(LIMITS)
    client.send(head + b"Content-Length: 5\r\n\r\n")
    assert request.take_from(server)
    assert request.expects_continue is expects
