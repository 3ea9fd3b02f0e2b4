"""Sign access tokens (RFC 9068)."""

import secrets
import time

import jwt

from auth.domain import AccessToken
from auth.signing_keys import SigningKeys
from shared.tokens import ALGORITHM, AUDIENCE, TYPE

OWN_CLIENT = "shop"  # The client id of tokens that people get by logging in here.


class TokenIssuer:
    """Signs in the name of the shop's public address; `seconds` is how long its tokens live."""

    def __init__(self, keys: SigningKeys, issuer: str, seconds: int) -> None:
        self.seconds = seconds
        self._keys = keys
        self._issuer = issuer

    def issue(
        self,
        *,
        sub: str,
        role: str,
        client_id: str = OWN_CLIENT,
        scope: str = "",
        sid: str | None = None,
        guest_sub: str | None = None,
    ) -> AccessToken:
        """Return a signed token; raise KeysUnavailable while there is nothing to sign with.

        A token that belongs to no session has an `sid` of its own.
        """
        key = self._keys.signing_key()
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": sub,
            "exp": now + self.seconds,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
            "sid": sid or secrets.token_urlsafe(16),
            "role": role,
            "scope": scope,
            "client_id": client_id,
        }
        if guest_sub:
            claims["guest_sub"] = guest_sub
        token = jwt.encode(
            claims, key.private_key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": key.kid}
        )
        return AccessToken(token, self.seconds)
