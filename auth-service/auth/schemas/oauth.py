"""Bodies of OAuth 2.0 and JSON Web Keys, as their RFCs define them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from auth.domain.clients import Scope
from shared.schemas import example

# Every field is optional here, because the routes report missing and invalid values with the error codes of
# the RFC.


class ClientForm(BaseModel):
    """Credentials in the body, for a client that cannot send a header (RFC 6749, section 2.3.1)."""

    client_id: str | None = None
    client_secret: str | None = None


class TokenRequest(ClientForm):
    """RFC 6749, section 4.4.2."""

    model_config = ConfigDict(
        json_schema_extra=example({"grant_type": "client_credentials", "scope": "products:read"})
    )

    grant_type: str | None = None
    scope: str | None = None


class TokenForm(ClientForm):
    """RFC 7662 and RFC 7009, sections 2.1; the hint is unused, because refresh tokens have a prefix."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"}
        )
    )

    token: str | None = None
    token_type_hint: str | None = None


class OAuthErrorOut(BaseModel):
    """RFC 6749, section 5.2."""

    error: str
    error_description: str


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "access_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl",
                "token_type": "Bearer",
                "expires_in": 900,
                "scope": "products:read",
            }
        )
    )

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # The type of a token is not a secret.
    expires_in: int = Field(description="Seconds.")
    scope: str | None = Field(default=None, description="The scopes of the token; omitted if there are none.")


class Introspection(BaseModel):
    """RFC 7662, section 2.2; for a token that is not active, only `active`."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "active": True,
                "token_type": "Bearer",
                "client_id": "shop",
                "sub": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01",
                "aud": "shopfleet",
                "iss": "http://localhost:8080",
                "exp": 1772358300,
                "iat": 1772357400,
                "jti": "hN3vQ8sLzUOeWm1x",
                "sid": "018f5c3e-9b52-7e0a-8c33-5d9a7b3f2d02",
                "role": "customer",
            }
        )
    )

    active: bool
    token_type: str | None = None
    scope: str | None = None
    client_id: str | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    exp: int | None = None
    iat: int | None = None
    jti: str | None = None
    sid: str | None = None
    role: str | None = None
    guest_sub: str | None = None


class Metadata(BaseModel):
    """RFC 8414, section 2."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "issuer": "http://localhost:8080",
                "token_endpoint": "http://localhost:8080/auth/token",
                "introspection_endpoint": "http://localhost:8080/auth/introspect",
                "revocation_endpoint": "http://localhost:8080/auth/revoke",
                "jwks_uri": "http://localhost:8080/.well-known/jwks.json",
                "service_documentation": "http://localhost:8080/docs?urls.primaryName=auth",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": ["none"],
                "scopes_supported": list(Scope),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "introspection_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "revocation_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                    "none",
                ],
            }
        )
    )

    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    service_documentation: str
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    introspection_endpoint_auth_methods_supported: list[str]
    revocation_endpoint_auth_methods_supported: list[str]


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517, section 5)."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "keys": [
                    {
                        "kty": "EC",
                        "crv": "P-256",
                        "x": "8j3YfPSFXLpIxnwawEOqRs9LEkN-Qxr1IvY9pM7zIvI",
                        "y": "1MMG7ZDaHen00Nus-3eVLgfMA-hkGzXy6SnHPR-EQlM",
                        "kid": "11642937a8606ae5",
                        "use": "sig",
                        "alg": "ES256",
                    }
                ]
            }
        )
    )

    keys: list[dict[str, str]]
