"""Bodies of OAuth 2.0 and JSON Web Keys, as their RFCs have them."""

from typing import Literal

from pydantic import BaseModel, Field

# What is missing or does not fit is refused in the RFC's own words, so that every field is optional here.


class ClientForm(BaseModel):
    """Credentials in the body, for a client that cannot send a header (RFC 6749, section 2.3.1)."""

    client_id: str | None = None
    client_secret: str | None = None


class TokenRequest(ClientForm):
    """RFC 6749, section 4.4.2."""

    grant_type: str | None = None
    scope: str | None = None


class TokenForm(ClientForm):
    """RFC 7662 and RFC 7009, sections 2.1; the hint is not needed, since the two kinds look different."""

    token: str | None = None
    token_type_hint: str | None = None


class OAuthErrorOut(BaseModel):
    """RFC 6749, section 5.2."""

    error: str
    error_description: str


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # A kind of token is no secret.
    expires_in: int = Field(description="Seconds.")
    scope: str | None = Field(default=None, description="What the token is good for; left out if nothing is.")


class Introspection(BaseModel):
    """RFC 7662, section 2.2: of a token that is not good, nothing but that."""

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

    keys: list[dict[str, str]]
