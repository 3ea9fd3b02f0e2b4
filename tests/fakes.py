"""Fakes for the tests of several services."""

import json
import secrets
import time
from collections.abc import Collection
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from shared.errors import KeysUnavailable, SignOffsUnavailable
from shared.tokens import ALGORITHM, AUDIENCE, TYPE, KeySource

ISSUER = "http://localhost:8080"


class FakeSignOffs:
    """A signed-off list in memory; a test can make it unavailable separately from the keys."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.is_away = False
        self.remark: str | None = None

    def has_any(self, ids: Collection[str]) -> bool:
        """Return whether one of these is signed off."""
        self.check()
        return not self.ids.isdisjoint(ids)

    def check(self) -> str | None:
        """Raise SignOffsUnavailable while `is_away` is set."""
        if self.is_away:
            raise SignOffsUnavailable
        return self.remark

    def refresh(self) -> None:
        """Do nothing: a sign-off takes effect at once."""


class FakeAuth:
    """An auth-service in memory: it signs tokens, and replaces `Auth` to verify them."""

    def __init__(self, kid: str | None = None, private_key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.kid = kid or secrets.token_urlsafe(8)
        self.private_key = private_key or ec.generate_private_key(ec.SECP256R1())
        self.is_away = False
        self.keys: KeySource = self
        self.sign_offs = FakeSignOffs()

    def find_key(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the only key."""
        self.check()
        return self.private_key.public_key() if kid == self.kid else None

    def check(self) -> str | None:
        """Raise KeysUnavailable while `is_away` is set."""
        if self.is_away:
            raise KeysUnavailable
        return None

    def sign_off(self, token: str, *, claim: str = "sid") -> None:
        """End the session of a token, or only the token by its `jti`."""
        claims = jwt.decode(token, options={"verify_signature": False})
        self.sign_offs.ids.add(claims[claim])

    def key_set(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set."""
        jwk = json.loads(ECAlgorithm.to_jwk(self.private_key.public_key()))
        return {"keys": [{**jwk, "kid": self.kid, "use": "sig", "alg": ALGORITHM}]}

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **changed: Any) -> str:
        """Return a customer's token with changed claims; a claim of None is left out."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "customer-1",
            "exp": now + 900,
            "iat": now,
            "jti": secrets.token_urlsafe(8),
            "sid": secrets.token_urlsafe(8),
            "role": "customer",
            "scope": "",
            "client_id": "shop",
            **changed,
        }
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            key or self.private_key,
            algorithm=(header or {}).get("alg", ALGORITHM),
            headers={"typ": TYPE, "kid": self.kid, **(header or {})},
        )

    def bearer(self, **changed: Any) -> dict[str, str]:
        """Return the Authorization header with such a token."""
        return {"Authorization": f"Bearer {self.token(**changed)}"}

    def service_bearer(self, client_id: str) -> dict[str, str]:
        """Return the header that authenticates a service."""
        token = self.token(sub=client_id, role="service", client_id=client_id)
        return {"X-Service-Authorization": f"Bearer {token}"}
