"""Applicants' tokens: signed permission to hold one interview from a browser.

A token contains the digest of the interview, and so no name; the number of times that tokens of
this interview had been revoked; and the time at which it expires.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from access.errors import TokenExpired, TokenRevoked, TokensOff, WrongCredential
from db import AuditTrail, Database, InterviewKey, TokenRevocations

# Nothing else that is signed with the same key is accepted as a token.
SALT = "applicant-token"


class Opened(NamedTuple):
    """The interview that a token opens."""

    digest: str
    erasure: int
    """The number of its newest erasure so far, 0 for none. What begins with the token must not be
    stored once there is another: that has revoked the token."""


class ApplicantTokens:
    """Tokens, signed with the first of the secret keys and accepted from all; off without a key."""

    def __init__(self, secret_keys: Sequence[str], database: Database) -> None:
        self._database = database
        self._serializer: URLSafeSerializer | None = None
        if secret_keys:
            self._serializer = URLSafeSerializer(
                list(reversed(secret_keys)),  # itsdangerous signs with the last
                salt=SALT,
                signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"},
            )

    def issue(self, interview: InterviewKey, lifetime: int) -> tuple[str, datetime]:
        """Return a token for the interview, started or not, and the time at which it expires.

        The audit trail does not have it yet.

        Args:
            interview: The one interview that the token opens.
            lifetime: Seconds.

        Raises:
            TokensOff: There is nothing to sign with.

        """
        if self._serializer is None:
            raise TokensOff
        digest = interview.digest()
        with self._database.reading() as session:
            revocations = TokenRevocations(session).count(digest)
        expires = int(time.time()) + lifetime
        token = self._serializer.dumps([digest, revocations, expires])
        return token, datetime.fromtimestamp(expires, UTC)

    def opened_by(self, token: str) -> Opened:
        """Return what the token opens.

        Raises:
            WrongCredential: The token was not issued by this service.
            TokenExpired: It has expired.
            TokenRevoked: It was revoked.

        """
        if self._serializer is None:
            raise WrongCredential
        try:
            digest, revocations, expires = self._serializer.loads(token)
        except BadData:
            raise WrongCredential from None
        if time.time() >= expires:
            raise TokenExpired
        with self._database.reading() as session:
            counted, erasure = TokenRevocations(session).count_and_erasure(digest)
        if counted != revocations:
            raise TokenRevoked
        return Opened(digest, erasure)

    def revoke(self, interview: InterviewKey) -> None:
        """Make every token issued for the interview so far permanently invalid.

        Raises:
            TokensOff: There is nothing to sign with.

        """
        if self._serializer is None:
            raise TokensOff
        with self._database.transaction() as session:
            TokenRevocations(session).add(interview.digest())
            AuditTrail(session).add(interview.access_key, "token.revoked", interview)
