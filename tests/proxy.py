"""What goes over the network between the service and PostgreSQL, counted."""

import socket
from collections import Counter
from contextlib import suppress
from threading import Lock, Thread
from types import TracebackType


class Proxy:
    """A port that leads to PostgreSQL's, without TLS, and counts what passes."""

    def __init__(self, server_port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server_port = server_port
        self._lock = Lock()
        self._seen = Counter[str]()

    def __enter__(self) -> "Proxy":
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()

    def seen(self) -> Counter[str]:
        """How many statements, commits and round trips there have been."""
        with self._lock:
            return Counter(self._seen)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = [False]
            Thread(target=self._to_server, args=(client, server, asked), daemon=True).start()
            Thread(target=self._to_client, args=(client, server, asked), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, asked: list[bool]) -> None:
        rest = b""
        while data := _received(client):
            rest += data
            # The first messages of a connection have no letter, but a length that begins with NUL.
            while len(rest) >= 8:
                start = 0 if rest[0] == 0 else 1
                end = start + int.from_bytes(rest[start : start + 4], "big")
                if len(rest) < end:
                    break
                self._count(rest[:end])
                rest = rest[end:]
            asked[0] = True
            _send(server, data)
        server.close()

    def _count(self, message: bytes) -> None:
        with self._lock:
            if message[:1] in (b"P", b"Q"):
                self._seen["statements"] += 1
                self._seen["commits"] += b"COMMIT\0" in message

    def _to_client(self, client: socket.socket, server: socket.socket, asked: list[bool]) -> None:
        # The server keeps its answers until the client waits for them.
        while data := _received(server):
            if asked[0]:
                asked[0] = False
                with self._lock:
                    self._seen["round trips"] += 1
            _send(client, data)
        client.close()


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def _send(end: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it has gone
        end.sendall(data)
