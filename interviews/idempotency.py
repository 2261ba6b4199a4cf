"""Repeated requests: the message that came with an `Idempotency-Key`."""

from hashlib import sha256

from db import InterviewKey, Message, Messages
from interviews.errors import KeyReused


def recall(
    messages: Messages, interview: InterviewKey, idempotency_key: str | None, request: str
) -> tuple[list[Message], int | None]:
    """Return the history, and the id of the message that this request stored before, if it did.

    Args:
        messages: The queries of a session.
        interview: A key counts within its interview only.
        idempotency_key: The request's key; a request without one has never come before.
        request: The request's fingerprint.

    Raises:
        KeyReused: The key came with another request before.

    """
    if idempotency_key is None:
        return messages.of(interview), None
    history, known = messages.of_with_key(interview, idempotency_key)
    if known is None:
        return history, None
    first_request, message_id = known
    if first_request != request:
        raise KeyReused
    return history, message_id


def fingerprint(endpoint: str, text: str) -> str:
    """Return a digest that differs between different requests to an interview."""
    return sha256(f"{endpoint}\n{text}".encode()).hexdigest()
