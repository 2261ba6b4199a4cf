"""Requests that are repeated: what an `Idempotency-Key` of an interview stands for."""

from hashlib import sha256

from db import InterviewKey, Messages
from errors import KeyReused


def id_by_key(
    messages: Messages, interview: InterviewKey, idempotency_key: str, request: str
) -> int | None:
    """Return the id of the message that this request brought when it first came, if it has."""
    known = messages.of_key(interview, idempotency_key)
    if known is None:
        return None
    first_request, message_id = known
    if first_request != request:
        raise KeyReused
    return message_id


def fingerprint(endpoint: str, text: str) -> str:
    """Return what tells one request to an interview from another."""
    return sha256(f"{endpoint}\n{text}".encode()).hexdigest()
