"""Sign access tokens (RFC 9068)."""

import secrets
import time

import jwt

from auth.domain import Session
from auth.keys import SigningKeys
from shared.tokens import ALGORITHM, AUDIENCE, TYPE

OWN_CLIENT = "shop"  # The client id of tokens that people get by logging in here.


class TokenIssuer:
    """Signs with the newest key, in the name of the shop's public address."""

    def __init__(self, keys: SigningKeys, issuer: str, seconds: int) -> None:
        self._keys = keys
        self._issuer = issuer
        self._seconds = seconds

    def issue(self, *, sub: str, role: str, client_id: str = OWN_CLIENT, scope: str = "") -> Session:
        """Return a signed token; raise KeysUnavailable while there is nothing to sign with."""
        key = self._keys.current()[0]
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": sub,
            "exp": now + self._seconds,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
            "sid": secrets.token_urlsafe(16),
            "role": role,
            "scope": scope,
            "client_id": client_id,
        }
        token = jwt.encode(
            claims, key.private_key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": key.kid}
        )
        return Session(token, self._seconds)
