"""The keys of recruiters' systems: made, hashed and compared. Only their hashes are kept."""

import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256

# The beginning of every key, by which a scanner of repositories knows what it has found.
PREFIX = "tukma_"

# Random bytes in a key: too many to be guessed, which is why a plain hash is enough.
RANDOM_BYTES = 32


def new_key() -> str:
    """Return a new random key."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def hash_of(key: str) -> bytes:
    """Return the key's SHA-256."""
    return sha256(key.encode()).digest()


def is_one_of(key_hash: bytes, known: Iterable[bytes]) -> bool:
    """Return whether a hash is among those known; the time taken does not depend on which it is."""
    # A sum, so that all are compared even after a match.
    return sum(hmac.compare_digest(key_hash, one) for one in known) > 0
