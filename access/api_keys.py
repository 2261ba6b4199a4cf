"""The keys of recruiters' systems: made, hashed and compared. Only their hashes are kept."""

import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256

# Lets whoever finds a key, a scanner of repositories say, know what it opens.
PREFIX = "tukma_"

# Bytes of chance in a key; so many cannot be guessed, which is why a plain hash is enough.
RANDOM_BYTES = 32


def new_key() -> str:
    """Return a key that nobody has."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def hash_of(key: str) -> bytes:
    """Return the key's SHA-256."""
    return sha256(key.encode()).digest()


def is_one_of(key_hash: bytes, known: Iterable[bytes]) -> bool:
    """Tell whether a hash is among those known, in a time that does not tell how close it is."""
    # A sum: all are compared, whichever fits.
    return sum(hmac.compare_digest(key_hash, one) for one in known) > 0
