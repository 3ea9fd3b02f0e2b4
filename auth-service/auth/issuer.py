"""Sign access tokens (RFC 9068)."""

import secrets
import time

import jwt

from auth.domain.accounts import STAFF, AccessToken
from auth.signing_keys import SigningKeys
from shared.tokens import ALGORITHM, AUDIENCE, TYPE

OWN_CLIENT = "shop"  # The client id in the tokens of users.


class TokenIssuer:
    """Signs tokens with the shop's public address as their issuer; `seconds` is the life of a token.

    With `staff_needs_totp`, staff get tokens with a lower role until two-factor authentication is on.
    """

    def __init__(
        self, keys: SigningKeys, issuer: str, seconds: int, *, staff_needs_totp: bool = False
    ) -> None:
        self.seconds = seconds
        self._staff_needs_totp = staff_needs_totp
        self._keys = keys
        self._issuer = issuer

    def needs_totp(self, role: str) -> bool:
        """Return whether only users with two-factor authentication get tokens with this role."""
        return self._staff_needs_totp and role in STAFF

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
        """Return a signed token; raise KeysUnavailable if no key can sign.

        A token without a session gets an `sid` of its own.
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
