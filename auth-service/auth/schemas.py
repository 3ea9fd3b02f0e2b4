"""Requests and responses of auth-service."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.schemas import Text


class Credentials(BaseModel):
    """A user name and a password."""

    username: Text = Field(max_length=150)
    password: Text = Field(max_length=1024)


class SignedIn(BaseModel):
    """A successful log-in; the token also comes as a cookie."""

    message: Literal["Authentication successful"] = "Authentication successful"
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # A kind of token is no secret.
    expires_in: int = Field(description="Seconds.")


class TokenRequest(BaseModel):
    """RFC 6749, section 4.4.2; what is missing is refused in the RFC's own words."""

    grant_type: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class OAuthErrorOut(BaseModel):
    """RFC 6749, section 5.2."""

    error: str
    error_description: str


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # A kind of token is no secret.
    expires_in: int = Field(description="Seconds.")


class UserOut(BaseModel):
    """A user, as everybody else sees one: without the password."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    username: str
    email: str | None
    role: str
    disabled: bool
    created_at: datetime


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517, section 5)."""

    keys: list[dict[str, str]]
