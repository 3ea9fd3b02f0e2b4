"""An independent OAuth client, Authlib, that is configured with the shop's address only."""

from typing import Any

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet


class Validator(JWTBearerTokenValidator):
    """A third-party resource server, which verifies tokens with the shop's keys (RFC 9068, section 4)."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        super().__init__(issuer=metadata["issuer"], resource_server="shopfleet")
        self.metadata = metadata

    def get_jwks(self) -> KeySet:
        """Fetch the key set from the address in the metadata."""
        return KeySet.import_key_set(requests.get(self.metadata["jwks_uri"], timeout=10).json())

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a valid token."""
        claims = self.authenticate_token(token)
        self.validate_token(claims, [], None)
        return dict(claims)


def discover(url: str) -> AuthorizationServerMetadata:
    """Fetch and check the metadata (RFC 8414, section 3)."""
    answer = requests.get(f"{url}/.well-known/oauth-authorization-server", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    metadata = AuthorizationServerMetadata(answer.json())
    metadata.validate()
    assert metadata["issuer"] == url
    return metadata


def connect(metadata: dict[str, Any], client_id: str, secret: str, **options: Any) -> OAuth2Session:
    """Return a session without a token."""
    return OAuth2Session(client_id, secret, token_endpoint=metadata["token_endpoint"], **options)


def walk(url: str, client_id: str, secret: str) -> None:
    """Use every OAuth endpoint as an integrator with `logs:write` and `tokens:introspect`."""
    metadata = discover(url)
    validator = Validator(metadata)
    for method in metadata["token_endpoint_auth_methods_supported"]:
        with connect(metadata, client_id, secret, token_endpoint_auth_method=method) as session:
            token = session.fetch_token(grant_type="client_credentials")
            assert token["token_type"] == "Bearer"
            assert not token.is_expired()
            _check_claims(validator.read(token["access_token"]), client_id, "logs:write tokens:introspect")
            narrow = session.fetch_token(grant_type="client_credentials", scope="logs:write")
            _check_claims(validator.read(narrow["access_token"]), client_id, "logs:write")
            endpoint = metadata["introspection_endpoint"]
            found = session.introspect_token(endpoint, token=narrow["access_token"]).json()
            assert found["active"] is True
            assert {name: found[name] for name in ("sub", "scope", "iss", "aud", "client_id")} == {
                "sub": client_id,
                "scope": "logs:write",
                "iss": url,
                "aud": "shopfleet",
                "client_id": client_id,
            }
            ended = session.revoke_token(metadata["revocation_endpoint"], token=narrow["access_token"])
            assert ended.status_code == 200
            assert session.introspect_token(endpoint, token=narrow["access_token"]).json() == {
                "active": False
            }
            assert session.introspect_token(endpoint, token=token["access_token"]).json()["active"] is True
    _check_refusals(metadata, client_id, secret)
    with pytest.raises(InvalidTokenError):
        validator.read(token["access_token"][:-6] + "AAAAAA")


def _check_claims(claims: dict[str, Any], client_id: str, scope: str) -> None:
    assert claims["sub"] == claims["client_id"] == client_id
    assert claims["scope"] == scope


def _check_refusals(metadata: dict[str, Any], client_id: str, secret: str) -> None:
    with connect(metadata, client_id, "wrong") as session, pytest.raises(OAuthError) as refused:
        session.fetch_token(grant_type="client_credentials")
    assert refused.value.error == "invalid_client"
    with connect(metadata, client_id, secret) as session:
        with pytest.raises(OAuthError) as refused:
            session.fetch_token(grant_type="client_credentials", scope="logs:read")
        assert refused.value.error == "invalid_scope"
        with pytest.raises(OAuthError) as refused:
            session.fetch_token(username="admin", password="admin")
        assert refused.value.error == "unsupported_grant_type"
