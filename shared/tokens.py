"""Verify access tokens (RFC 9068), with the algorithm fixed by us and not by the token (RFC 8725)."""

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

ALGORITHM = "ES256"
TYPE = "at+jwt"
AUDIENCE = "shopfleet"
ROLES = frozenset({"guest", "customer", "admin", "service"})
MAX_LENGTH = 4096
LEEWAY = 5  # Seconds that two machines' clocks may differ.
MOST_VERIFIED = 1000  # Tokens of a process, at some 2 KB each.
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti", "role", "client_id"]
OPTIONS: Options = {"require": REQUIRED}


class KeySource(Protocol):
    """Where public keys come from: auth's JWKS over HTTP, or auth's own database."""

    def find_key(self, kid: str) -> EllipticCurvePublicKey | None:
        """Return the key of that id, or None when there is none; raise KeysUnavailable if nobody can tell."""

    def check(self) -> str | None:
        """Raise KeysUnavailable unless keys have been had; return a remark if they are not fresh."""


class SignOffs(Protocol):
    """What ended before its time: the ids of sessions (`sid`) and of single tokens (`jti`)."""

    def has_any(self, ids: Collection[str]) -> bool:
        """Tell whether one of these is signed off; raise SignOffsUnavailable if nobody can tell."""

    def check(self) -> str | None:
        """Raise SignOffsUnavailable unless a list has been had; return a remark if it is not fresh."""

    def refresh(self) -> None:
        """Look for what has changed; called every two seconds."""


@dataclass(frozen=True)
class Auth:
    """What a service has of auth to tell whether a token is good."""

    keys: KeySource
    sign_offs: SignOffs


@dataclass(frozen=True)
class Verified:
    """A token whose signature was found good: with which key, and what it says."""

    kid: str
    key: EllipticCurvePublicKey
    claims: Mapping[str, Any]


class VerifiedTokens:
    """The tokens that were verified last, so that one that comes with every call is verified once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, Verified] = OrderedDict()

    def find(self, token: str) -> Verified | None:
        """Return what is known of a token."""
        with self._lock:
            found = self._tokens.get(token)
            if found:
                self._tokens.move_to_end(token)
            return found

    def keep(self, token: str, verified: Verified) -> None:
        """Remember a token, and forget the one that has not come for longest if there are too many."""
        with self._lock:
            self._tokens[token] = verified
            if len(self._tokens) > MOST_VERIFIED:
                self._tokens.popitem(last=False)


class TokenVerifier:
    """Turn a token into the caller it speaks of, or refuse it."""

    def __init__(self, auth: Auth, issuer: str) -> None:
        self.auth = auth
        self.issuer = issuer
        self._verified = VerifiedTokens()

    def verify(self, token: str) -> Caller:
        """Return the caller.

        Raises TokenInvalid for any token that is not ours and live, KeysUnavailable or SignOffsUnavailable
        when that cannot be told.
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
        """Return the claims, of which the signature alone is believed from an earlier time."""
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
    """Tell whether claims that were good once still are; both may have the types that PyJWT takes."""
    audience = claims["aud"]
    is_ours = AUDIENCE in ([audience] if isinstance(audience, str) else audience)
    return is_ours and int(claims["exp"]) > time.time() - LEEWAY


def _has_one_spelling(token: str) -> bool:
    """Tell whether each part is written as base64url writes it, without padding (RFC 7515, section 2).

    A decoder also reads padded and other spellings. Each would be another token to limits and caches.
    """
    try:
        # A fourth part stays together with the third and its dot, which base64url never writes.
        return all(_encode(_decode(part)) == part for part in token.split(".", 2))
    except ValueError:
        return False


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encode(contents: bytes) -> str:
    return base64.urlsafe_b64encode(contents).decode().rstrip("=")


def _read_kid(token: str) -> str:
    """Return the id of the key that a token of ours says it was signed with; raise TokenInvalid.

    Only the header is read here. PyJWT would take the whole token apart, and does so again to verify it, more
    strictly than this.
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
