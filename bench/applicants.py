"""Applicants who reply one after the other over one connection, and what they say."""

import http.client
import json
from collections.abc import Iterator

TURN = "I have worked in intensive care for eight years, the last three as head of a team."


class SingleApplicants:
    """Applicants one after the other, each of whom sends twenty messages."""

    def __init__(self, port: int, label: str = "Applicant") -> None:
        self._label = label
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._names = self._started_names()

    def reply(self) -> None:
        """Send the next message and read its answer."""
        self._post("/reply", next(self._names), message=TURN)

    def _started_names(self) -> Iterator[str]:
        """Yield the name to reply under, once its interview is started."""
        for number in range(100_000):
            name = f"{self._label} {number // 20}"
            if number % 20 == 0:
                self._post("/start_interview", name, prompt="You interview.")
            yield name

    def _post(self, path: str, name: str, **text: str) -> None:
        body = {"accessKey": "seeded", "name": name, "email": "a@example.com", **text}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content


class StreamingApplicants(SingleApplicants):
    """Applicants one after the other whose replies are streamed."""

    def stream(self) -> Iterator[bytes]:
        """Send the next message and yield the answer's events as they come."""
        body = {"accessKey": "seeded", "name": next(self._names), "email": "a@example.com"}
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        self._connection.request("POST", "/reply", json.dumps({**body, "message": TURN}), headers)
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield line


class SeededApplicants(SingleApplicants):
    """Applicants of a seeded file, in turn, so that no interview grows much."""

    def __init__(self, port: int, label: str, count: int) -> None:
        self._count = count
        super().__init__(port, label)

    def _started_names(self) -> Iterator[str]:
        for number in range(100_000):
            yield f"{self._label} {number % self._count}"
