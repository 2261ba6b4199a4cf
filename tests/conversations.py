"""Applicants who go on talking whatever becomes of the service, and what they were promised."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread

import httpx2

from api import ANA, Answer
from server import Gunicorn


class Conversation(Thread):
    """An applicant whose client repeats a reply, with its key, until it has been answered."""

    def __init__(self, server: Gunicorn, name: str, stop: Event) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._leave = stop
        self.applicant = ANA.named(name)
        self.acknowledged: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.tries = 0

    def run(self) -> None:
        with self._server.api() as api:
            self._until_answered(partial(api.start, self.applicant, "Interview!", "start"))
            while not self._leave.is_set():
                said = f"{self.applicant.name} says {len(self.acknowledged)}"
                answer = self._until_answered(partial(api.reply, said, self.applicant, said))
                self.acknowledged.append((said, answer.body["system"]))

    def _until_answered(self, call: Callable[[], Answer]) -> Answer:
        for _ in range(1000):
            self.tries += 1
            with suppress(httpx2.TransportError):
                answer = call()
                self.statuses.append(answer.status)
                if answer.status == 200:
                    return answer
            time.sleep(0.02)
        raise AssertionError(f"{self.applicant.name} never got an answer")


@contextmanager
def conversing(server: Gunicorn, count: int) -> Iterator[list[Conversation]]:
    """Let so many applicants talk while the block runs, and each end with an answer."""
    stop = Event()
    conversations = [Conversation(server, f"Applicant {i}", stop) for i in range(count)]
    for conversation in conversations:
        conversation.start()
    try:
        yield conversations
    finally:
        stop.set()
    for conversation in conversations:
        conversation.join(60)
        assert not conversation.is_alive()


def go_on(conversations: Sequence[Conversation], replies: int = 2) -> None:
    """Wait until each applicant has been answered so many times more."""
    before = [len(conversation.acknowledged) for conversation in conversations]
    for conversation, count in zip(conversations, before, strict=True):
        while len(conversation.acknowledged) < count + replies:
            assert conversation.is_alive()
            time.sleep(0.01)


def told_of(conversations: Sequence[Conversation], server: Gunicorn) -> str:
    """Check that every acknowledged turn is stored, once, in order, as it was acknowledged."""
    with server.api() as api:
        for conversation in conversations:
            said = api.said(conversation.applicant)
            turns = list(zip(said[2::2], said[3::2], strict=True))
            assert turns == conversation.acknowledged
    turns_in_all = sum(len(conversation.acknowledged) for conversation in conversations)
    tries = sum(conversation.tries for conversation in conversations)
    assert turns_in_all > 20
    return f"{turns_in_all} replies acknowledged in {tries} tries, none lost, none twice"
