"""Programs and their tokens (OAuth 2.0)."""

import hmac
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import jwt

from auth import audit
from auth.domain import CLIENT_ID, AccessToken, Scope
from auth.errors import InsufficientScope, InvalidClient, OAuthError
from auth.issuer import OWN_CLIENT, TokenIssuer
from auth.repository import clients, users
from auth.use_cases.sessions import REFRESH_PREFIX, end_session, find_session, sign_off
from shared.database import Database
from shared.errors import TokenInvalid
from shared.setup_secrets import hash_secret
from shared.tokens import TokenVerifier


class Credentials(NamedTuple):
    """What a program shows of itself; a public client has no secret (RFC 6749, section 2.1)."""

    client_id: str
    secret: str | None

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Credentials({self.client_id!r})"


class KnownClient(NamedTuple):
    """A program that has proved who it is; one of ours has neither scopes nor an `sid` of its own."""

    id: str
    is_ours: bool
    scopes: frozenset[str] = frozenset()
    sid: str | None = None


class Clients:
    """Who may prove themselves: our services by the hashes in the settings, integrators by the database."""

    def __init__(self, database: Database, ours: Mapping[str, str]) -> None:
        self._database = database
        self._ours = ours

    def authenticate(self, shown: Credentials) -> KnownClient:
        """Return who it is; raise InvalidClient (RFC 6749, section 2.3.1)."""
        shown_hash = hash_secret(shown.secret or "")
        if CLIENT_ID.fullmatch(shown.client_id):
            with self._database.transaction() as connection:
                client = clients.find_client(connection, shown.client_id)
            if client and not client.disabled and hmac.compare_digest(client.secret_hash, shown_hash):
                return KnownClient(client.id, False, frozenset(client.scopes), client.sid)
            is_known = client is not None
        else:
            is_known = shown.client_id in self._ours
            if hmac.compare_digest(self._ours.get(shown.client_id, ""), shown_hash):
                return KnownClient(shown.client_id, True)
        audit.record(
            "auth.client.refused",
            "A program could not prove who it is",
            # What else stands there may be anything, a secret in the wrong field included.
            target=shown.client_id if is_known else None,
            level=logging.WARNING,
        )
        raise InvalidClient


def grant_client_credentials(
    client: KnownClient, issuer: TokenIssuer, grant_type: str | None, scope: str | None
) -> tuple[AccessToken, str]:
    """Return a token for a program, and its scopes (RFC 6749, section 4.4); raise OAuthError.

    Without `scope` it gets all that it may have.
    """
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Only client_credentials is granted here.")
    asked = frozenset(scope.split(" ")) if scope else client.scopes
    if not asked <= client.scopes:
        raise OAuthError("invalid_scope", "The client was not given a scope that it asks for.")
    granted = " ".join(sorted(asked))
    token = issuer.issue(sub=client.id, role="service", client_id=client.id, scope=granted, sid=client.sid)
    return token, granted


def introspect(
    database: Database, verifier: TokenVerifier, client: KnownClient, token: str | None
) -> dict[str, Any]:
    """Return what a token says if it is good now, else only that it is not (RFC 7662, section 2.2).

    Raises InsufficientScope for a client that may not ask, OAuthError without a token.
    """
    if not client.is_ours and Scope.TOKENS_INTROSPECT not in client.scopes:
        raise InsufficientScope(Scope.TOKENS_INTROSPECT)
    if not token:
        raise OAuthError("invalid_request", "token is missing.")
    is_refresh = _is_refresh_token(token)
    said = _read_refresh_token(database, token) if is_refresh else _read_access_token(verifier, token)
    return {"active": True, **said} if said else {"active": False}


def revoke(
    database: Database, verifier: TokenVerifier, clients: Clients, shown: Credentials, token: str | None
) -> None:
    """End a token of the client's own (RFC 7009); one that is not good anyway needs nothing.

    A refresh token takes its whole session with it. Whoever has a person's token may end it: the shop's own
    client is a public one and has no secret. Raises OAuthError, InvalidClient.
    """
    is_public = shown.client_id == OWN_CLIENT and shown.secret is None
    client_id = OWN_CLIENT if is_public else clients.authenticate(shown).id
    if not token:
        raise OAuthError("invalid_request", "token is missing.")
    if _is_refresh_token(token):
        _revoke_refresh_token(database, client_id, token)
    else:
        _revoke_access_token(database, verifier, client_id, token)


def issue_own_token(issuer: TokenIssuer, service: str) -> str:
    """Return a token for auth-service's own calls: it has no credentials to show to itself."""
    return issuer.issue(sub=service, role="service", client_id=service).access_token


def _read_access_token(verifier: TokenVerifier, token: str) -> dict[str, Any] | None:
    try:
        verifier.verify(token)
    except TokenInvalid:
        return None
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return {"token_type": "Bearer", **claims}


def _read_refresh_token(database: Database, token: str) -> dict[str, Any] | None:
    with database.transaction() as connection:
        session = find_session(connection, token)
        user = users.find_user(connection, session.user_id) if session else None
    if session is None or user is None or user.disabled:
        return None
    return {
        "token_type": "refresh_token",
        "client_id": OWN_CLIENT,
        "sub": str(user.id),
        "sid": str(session.id),
        "role": user.role,
        "iat": int(session.last_used_at.timestamp()),
    }


def _revoke_refresh_token(database: Database, client_id: str, token: str) -> None:
    with database.transaction() as connection:
        session = find_session(connection, token)
        if session is None:
            return
        _require_own(client_id, OWN_CLIENT)
        end_session(connection, session.id)
    audit.record(
        "auth.token.revoked",
        "A session was ended by its refresh token",
        actor=str(session.user_id),
        target=str(session.id),
    )


def _revoke_access_token(database: Database, verifier: TokenVerifier, client_id: str, token: str) -> None:
    try:
        caller = verifier.verify(token)
    except TokenInvalid:
        return
    _require_own(client_id, caller.client_id)
    with database.transaction() as connection:
        sign_off(connection, caller.token_id, datetime.fromtimestamp(caller.expires_at, UTC))
    audit.record("auth.token.revoked", "An access token was ended", actor=caller.sub, target=caller.token_id)


def _require_own(client_id: str, owner: str) -> None:
    """Refuse to end another client's token (RFC 7009, section 2.1)."""
    if client_id != owner:
        raise OAuthError("unauthorized_client", "The token was issued to another client.")


def _is_refresh_token(token: str) -> bool:
    """Tell one kind from the other by its looks; `token_type_hint` is not needed (RFC 7009, section 2.1)."""
    return token.startswith(REFRESH_PREFIX)
