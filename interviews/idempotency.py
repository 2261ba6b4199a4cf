"""Requests that are repeated: what an `Idempotency-Key` of an interview stands for."""

from hashlib import sha256

from db import InterviewKey, Message, Messages
from interviews.errors import KeyReused


def recall(
    messages: Messages, interview: InterviewKey, idempotency_key: str | None, request: str
) -> tuple[list[Message], int | None]:
    """Return what was said, and the id of the message that this request brought if it came before.

    Without a key no request has come before.

    Args:
        messages: Where both are.
        interview: The key counts in it alone.
        idempotency_key: What the request came with.
        request: Its fingerprint.

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
    """Return what tells one request to an interview from another."""
    return sha256(f"{endpoint}\n{text}".encode()).hexdigest()
