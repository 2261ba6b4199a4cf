"""Applicants' tokens: signed leave to hold one interview from a browser.

A token holds the interview's digest, so nobody's name, how often its tokens had been revoked, and
when it expires.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from itsdangerous import BadData, URLSafeSerializer

from access.errors import TokenExpired, TokenRevoked, TokensOff, WrongCredential
from db import Database, InterviewKey, TokenRevocations

# So that nothing else that is signed by the same key passes for a token.
SALT = "applicant-token"


class ApplicantTokens:
    """Tokens, signed by the first of the secret keys, and accepted from all; off without a key."""

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
        """Return a token for the interview, be it started or not, and when it expires.

        Args:
            interview: What the token opens.
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

    def digest_of(self, token: str) -> str:
        """Return the digest of the interview that the token opens.

        Raises:
            WrongCredential: The token is none of ours.
            TokenExpired: Its time is over.
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
            if TokenRevocations(session).count(digest) != revocations:
                raise TokenRevoked
        return str(digest)

    def revoke(self, interview: InterviewKey) -> None:
        """Make every token that was issued for the interview so far invalid, for good.

        Raises:
            TokensOff: There is nothing to sign with.

        """
        if self._serializer is None:
            raise TokensOff
        with self._database.transaction() as session:
            TokenRevocations(session).add(interview.digest())
