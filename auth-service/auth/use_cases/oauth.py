"""OAuth 2.0 clients and their tokens."""

import hmac
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import jwt

from auth.domain.accounts import AccessToken
from auth.domain.clients import CLIENT_ID, Scope
from auth.errors import InsufficientScope, InvalidClient, OAuthError
from auth.issuer import OWN_CLIENT, TokenIssuer
from auth.repository import clients, users
from auth.repository.sessions import insert_sign_off
from auth.use_cases.sessions import REFRESH_PREFIX, end_session, find_session
from shared import audit_trail
from shared.database import Database
from shared.errors import TokenInvalid
from shared.setup_secrets import hash_secret
from shared.tokens import TokenVerifier


class Credentials(NamedTuple):
    """The credentials of a client; a public client has no secret (RFC 6749, section 2.1)."""

    client_id: str
    secret: str | None

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Credentials({self.client_id!r})"


class KnownClient(NamedTuple):
    """An authenticated client; the shop's own services have neither scopes nor an `sid`."""

    id: str
    is_internal: bool
    scopes: frozenset[str] = frozenset()
    sid: str | None = None


class Clients:
    """Authenticates clients: the shop's services by hashes in the settings, integrators by the database."""

    def __init__(self, database: Database, internal: Mapping[str, str]) -> None:
        self._database = database
        self._internal = internal

    def authenticate(self, credentials: Credentials) -> KnownClient:
        """Return the client with these credentials; raise InvalidClient (RFC 6749, section 2.3.1)."""
        secret_hash = hash_secret(credentials.secret or "")
        if CLIENT_ID.fullmatch(credentials.client_id):
            with self._database.transaction() as connection:
                client = clients.find_client(connection, credentials.client_id)
            if client and not client.disabled and hmac.compare_digest(client.secret_hash, secret_hash):
                return KnownClient(client.id, False, frozenset(client.scopes), client.sid)
            is_known = client is not None
        else:
            is_known = credentials.client_id in self._internal
            if hmac.compare_digest(self._internal.get(credentials.client_id, ""), secret_hash):
                return KnownClient(credentials.client_id, True)
        audit_trail.record(
            "auth.client.refused",
            "A client failed to authenticate",
            # An unknown id may be a secret in the wrong field.
            target=credentials.client_id if is_known else None,
            level=logging.WARNING,
        )
        raise InvalidClient


def grant_client_credentials(
    client: KnownClient, issuer: TokenIssuer, grant_type: str | None, scope: str | None
) -> tuple[AccessToken, str]:
    """Return a client's token and its scopes (RFC 6749, section 4.4); raise OAuthError.

    Without `scope` the token has all scopes of the client.
    """
    if not grant_type:
        raise OAuthError("invalid_request", "grant_type is missing.")
    if grant_type != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Only the client_credentials grant is supported.")
    requested = frozenset(scope.split(" ")) if scope else client.scopes
    if not requested <= client.scopes:
        raise OAuthError("invalid_scope", "The requested scope exceeds the scopes of the client.")
    granted = " ".join(sorted(requested))
    token = issuer.issue(sub=client.id, role="service", client_id=client.id, scope=granted, sid=client.sid)
    return token, granted


def introspect(
    database: Database, verifier: TokenVerifier, client: KnownClient, token: str | None
) -> dict[str, Any]:
    """Return whether a token is active and, if it is, its claims (RFC 7662, section 2.2).

    Raises InsufficientScope for a client without the scope, OAuthError without a token.
    """
    if not client.is_internal and Scope.TOKENS_INTROSPECT not in client.scopes:
        raise InsufficientScope(Scope.TOKENS_INTROSPECT)
    if not token:
        raise OAuthError("invalid_request", "token is missing.")
    is_refresh = _is_refresh_token(token)
    claims = _read_refresh_token(database, token) if is_refresh else _read_access_token(verifier, token)
    return {"active": True, **claims} if claims else {"active": False}


def revoke(
    database: Database, verifier: TokenVerifier, clients: Clients, credentials: Credentials, token: str | None
) -> None:
    """Revoke a token of the calling client (RFC 7009); do nothing if the token is not valid.

    Revoking a refresh token ends its whole session. The holder of a user's token may revoke it, because the
    shop's own client is public and has no secret. Raises OAuthError, InvalidClient.
    """
    is_public = credentials.client_id == OWN_CLIENT and credentials.secret is None
    client_id = OWN_CLIENT if is_public else clients.authenticate(credentials).id
    if not token:
        raise OAuthError("invalid_request", "token is missing.")
    if _is_refresh_token(token):
        _revoke_refresh_token(database, client_id, token)
    else:
        _revoke_access_token(database, verifier, client_id, token)


def issue_own_token(issuer: TokenIssuer, service: str) -> str:
    """Return a token for auth-service's own calls, which need no credentials."""
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
    audit_trail.record(
        "auth.token.revoked",
        "A session was revoked by its refresh token",
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
        insert_sign_off(connection, caller.token_id, datetime.fromtimestamp(caller.expires_at, UTC))
    audit_trail.record(
        "auth.token.revoked", "An access token was revoked", actor=caller.sub, target=caller.token_id
    )


def _require_own(client_id: str, owner: str) -> None:
    """Raise OAuthError if the token was issued to a different client (RFC 7009, section 2.1)."""
    if client_id != owner:
        raise OAuthError("unauthorized_client", "The token was issued to another client.")


def _is_refresh_token(token: str) -> bool:
    """Return whether a token has the prefix of refresh tokens, so that no `token_type_hint` is needed."""
    return token.startswith(REFRESH_PREFIX)
