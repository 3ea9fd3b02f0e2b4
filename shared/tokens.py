"""Verify access tokens (RFC 9068), with the algorithm fixed by us and not by the token (RFC 8725)."""

from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from shared.context import Caller
from shared.errors import TokenInvalid

ALGORITHM = "ES256"
TYPE = "at+jwt"
AUDIENCE = "shopfleet"
ROLES = frozenset({"guest", "customer", "admin", "service"})
MAX_LENGTH = 4096
LEEWAY = 5  # Seconds that two machines' clocks may differ.
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti", "role", "client_id"]


class KeySource(Protocol):
    """Where public keys come from: auth's JWKS over HTTP, or auth's own database."""

    def find_key(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return the key of that id, or None when there is none; raise KeysUnavailable if nobody can tell."""

    def check(self) -> None:
        """Raise KeysUnavailable unless keys have been had."""


class TokenVerifier:
    """Turn a token into the caller it speaks of, or refuse it."""

    def __init__(self, keys: KeySource, issuer: str) -> None:
        self.keys = keys
        self.issuer = issuer

    def verify(self, token: str) -> Caller:
        """Return the caller.

        Raises TokenInvalid for any token that is not ours and live, KeysUnavailable when that cannot be told.
        """
        claims = self._decode(token)
        role, scope = claims["role"], claims.get("scope", "")
        session, guest = claims.get("sid"), claims.get("guest_sub")
        texts = (claims["sub"], claims["client_id"], role, scope)
        if not all(isinstance(text, str) for text in texts) or role not in ROLES:
            raise TokenInvalid
        return Caller(
            sub=claims["sub"],
            role=role,
            client_id=claims["client_id"],
            scope=scope,
            session=session if isinstance(session, str) else None,
            expires_at=int(claims["exp"]),
            token=token,
            guest_sub=guest if isinstance(guest, str) else None,
        )

    def _decode(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_LENGTH:
            raise TokenInvalid
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenInvalid from error
        kid = header.get("kid")
        if header.get("typ") != TYPE or header.get("alg") != ALGORITHM or not isinstance(kid, str):
            raise TokenInvalid
        key = self.keys.find_key(kid)
        if key is None:
            raise TokenInvalid
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                leeway=LEEWAY,
                options={"require": REQUIRED},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise TokenInvalid from error
