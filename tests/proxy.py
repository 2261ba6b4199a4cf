"""The network between the service and PostgreSQL: what passes is counted, and may be lost."""

import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from threading import Event, Lock, Thread
from types import TracebackType


class Loss(Enum):
    """The moment at which a connection breaks around a COMMIT."""

    BEFORE = "the server never gets the COMMIT, and notices that the client has gone"
    LATE = "the server gets the COMMIT after the client's side of the connection has broken"
    ANSWER = "the server commits, and its answer is lost"


class Proxy:
    """A port that leads to PostgreSQL's, without TLS, and counts what passes."""

    def __init__(self, server_port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server_port = server_port
        self._lock = Lock()
        self._seen = Counter[str]()
        self._loss: Loss | None = None
        self._commits_before = 0
        self._refuses = False
        self._refuses_after = False
        self.lost = Event()
        self.release = Event()

    def lose_commit(self, loss: Loss, after: int = 0, *, then_refuse: bool = False) -> None:
        """Break the connection around a COMMIT; `lost` is set once it has happened.

        Args:
            loss: The moment. A LATE commit is held back until `release` is set.
            after: How many COMMITs pass before.
            then_refuse: Whether new connections are refused from then on.

        """
        with self._lock:
            self._loss, self._commits_before = loss, after
            self._refuses_after = then_refuse
            self.lost.clear()
            self.release.clear()

    def accept_again(self) -> None:
        """Take new connections again."""
        with self._lock:
            self._refuses = False

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
            with self._lock:
                refuses = self._refuses
            if refuses:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            connection = _Connection(client, server)
            Thread(target=self._to_server, args=(connection,), daemon=True).start()
            Thread(target=self._to_client, args=(connection,), daemon=True).start()

    def _to_server(self, connection: "_Connection") -> None:
        rest = b""
        while data := _received(connection.client):
            rest += data
            loss = None
            # The first messages of a connection have no letter, but a length that begins with NUL.
            while len(rest) >= 8:
                start = 0 if rest[0] == 0 else 1
                end = start + int.from_bytes(rest[start : start + 4], "big")
                if len(rest) < end:
                    break
                loss = self._count(rest[:end]) or loss
                rest = rest[end:]
            connection.asked = True
            if loss is Loss.ANSWER:
                connection.loses_answer = True
            elif loss is Loss.BEFORE:
                self._lose(connection.close)
                return
            elif loss is Loss.LATE:
                self._lose(connection.close_client)
                self.release.wait(30)
            _send(connection.server, data)
        _close(connection.server)

    def _count(self, message: bytes) -> Loss | None:
        """Count a message, and return how it is lost, if it is."""
        with self._lock:
            if message[:1] in (b"P", b"Q"):
                self._seen["statements"] += 1
                if b"COMMIT\0" in message:
                    self._seen["commits"] += 1
                    self._commits_before -= 1
                    if self._loss is not None and self._commits_before < 0:
                        loss, self._loss = self._loss, None
                        return loss
        return None

    def _to_client(self, connection: "_Connection") -> None:
        # The server keeps its answers until the client waits for them.
        while data := _received(connection.server):
            if connection.loses_answer:
                self._lose(connection.close)
                return
            if connection.asked:
                connection.asked = False
                with self._lock:
                    self._seen["round trips"] += 1
            _send(connection.client, data)
        _close(connection.client)

    def _lose(self, close: Callable[[], None]) -> None:
        with self._lock:
            self._refuses = self._refuses_after
        close()
        self.lost.set()


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.asked = False
        self.loses_answer = False
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close_client(self) -> None:
        _close(self.client)

    def close(self) -> None:
        _close(self.client)
        _close(self.server)


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def _send(end: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it has gone
        end.sendall(data)


def _close(end: socket.socket) -> None:
    # The shutdown also ends another thread's wait for this end.
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
