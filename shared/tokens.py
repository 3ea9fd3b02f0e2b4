"""Verify access tokens (RFC 9068), with a fixed algorithm regardless of the token's header (RFC 8725)."""

import base64
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.types import Options

from shared.context import Caller
from shared.errors import TokenInvalid
from shared.roles import ROLES

ALGORITHM = "ES256"
TYPE = "at+jwt"
AUDIENCE = "shopfleet"
MAX_LENGTH = 4096
LEEWAY = 5  # Seconds of clock skew between machines.
MOST_VERIFIED = 1000  # Tokens in a process's cache, at about 2 KB each.
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti", "role", "client_id"]
OPTIONS: Options = {"require": REQUIRED}


class KeySource(Protocol):
    """A source of public keys: auth's JWKS over HTTP, or auth's own database."""

    def find_key(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return the key, or None if it does not exist; raise KeysUnavailable if that is unknown."""

    def check(self) -> str | None:
        """Raise KeysUnavailable unless there are usable keys; return a remark if they are stale."""


class SignOffs(Protocol):
    """The ids of sessions (`sid`) and single tokens (`jti`) that ended early."""

    def has_any(self, ids: Collection[str]) -> bool:
        """Return whether one of these is signed off; raise SignOffsUnavailable if that is unknown."""

    def check(self) -> str | None:
        """Raise SignOffsUnavailable unless there is a usable list; return a remark if it is stale."""

    def refresh(self) -> None:
        """Fetch changes; called every two seconds."""


@dataclass(frozen=True)
class Auth:
    """The data from auth that a service needs to verify tokens."""

    keys: KeySource
    sign_offs: SignOffs


@dataclass(frozen=True)
class Verified:
    """The key and claims of a token whose signature is valid."""

    kid: str
    key: EllipticCurvePublicKey
    claims: Mapping[str, Any]


class VerifiedTokens:
    """A cache of verified tokens, so that a client's token is verified once and not with every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, Verified] = OrderedDict()

    def find(self, token: str) -> Verified | None:
        """Return the cached verification of a token."""
        with self._lock:
            found = self._tokens.get(token)
            if found:
                self._tokens.move_to_end(token)
            return found

    def keep(self, token: str, verified: Verified) -> None:
        """Cache a token; evict the least recently used one if the cache is full."""
        with self._lock:
            self._tokens[token] = verified
            if len(self._tokens) > MOST_VERIFIED:
                self._tokens.popitem(last=False)


class TokenVerifier:
    """Verifies tokens and returns their callers."""

    def __init__(self, auth: Auth, issuer: str) -> None:
        self.auth = auth
        self.issuer = issuer
        self._verified = VerifiedTokens()

    def verify(self, token: str) -> Caller:
        """Return the caller of a token.

        Raises TokenInvalid for a forged, expired or signed-off token, KeysUnavailable or SignOffsUnavailable
        if the token cannot be verified.
        """
        claims = self._decode(token)
        role, scope = claims["role"], claims.get("scope", "")
        session, guest = claims.get("sid"), claims.get("guest_sub")
        texts = (claims["sub"], claims["client_id"], role, scope)
        if not all(isinstance(text, str) for text in texts) or role not in ROLES:
            raise TokenInvalid
        if self.auth.sign_offs.has_any([text for text in (claims["jti"], session) if isinstance(text, str)]):
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
            token_id=claims["jti"],
        )

    def _decode(self, token: str) -> Mapping[str, Any]:
        """Return the claims. Only the result of the signature check is cached."""
        if len(token) > MAX_LENGTH:
            raise TokenInvalid
        verified = self._verified.find(token)
        if verified is None and not _has_one_spelling(token):
            raise TokenInvalid
        key = self.auth.keys.find_key(verified.kid if verified else _read_kid(token))
        if key is None:
            raise TokenInvalid
        if verified is None or verified.key != key:
            verified = Verified(_read_kid(token), key, self._verify_signature(token, key))
            self._verified.keep(token, verified)
        elif not _is_live(verified.claims):
            raise TokenInvalid
        return verified.claims

    def _verify_signature(self, token: str, key: EllipticCurvePublicKey) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self.issuer,
                leeway=LEEWAY,
                options=OPTIONS,
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise TokenInvalid from error


def _is_live(claims: Mapping[str, Any]) -> bool:
    """Return whether claims that were once valid still are; `aud` and `exp` have the types PyJWT accepts."""
    audience = claims["aud"]
    matches = AUDIENCE in ([audience] if isinstance(audience, str) else audience)
    return matches and int(claims["exp"]) > time.time() - LEEWAY


def _has_one_spelling(token: str) -> bool:
    """Return whether each part is canonical base64url without padding (RFC 7515, section 2).

    A decoder also accepts other encodings. Limits and caches would treat each of them as a different token.
    """
    try:
        # A fourth part stays joined to the third by a dot, which base64url does not have.
        return all(_encode(_decode(part)) == part for part in token.split(".", 2))
    except ValueError:
        return False


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encode(contents: bytes) -> str:
    return base64.urlsafe_b64encode(contents).decode().rstrip("=")


def _read_kid(token: str) -> str:
    """Return the key id in a token's header; raise TokenInvalid.

    PyJWT would parse the whole token for this. It does so later when it verifies the token, and more
    strictly.
    """
    try:
        header = json.loads(_decode(token.partition(".")[0]))
    except (ValueError, RecursionError) as error:
        raise TokenInvalid from error
    if not isinstance(header, dict) or header.get("typ") != TYPE or header.get("alg") != ALGORITHM:
        raise TokenInvalid
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenInvalid
    return kid
