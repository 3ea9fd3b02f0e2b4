"""Credentials, and what they open."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from auth.domain import NAME_LENGTH, PASSWORD_LENGTH, choose_name
from shared.schemas import Text

NewName = Annotated[
    Text, Field(min_length=NAME_LENGTH[0], max_length=NAME_LENGTH[-1]), AfterValidator(choose_name)
]
# The rest of its rules needs the whole account: see `find_weakness`.
NewPassword = Annotated[Text, Field(min_length=PASSWORD_LENGTH[0], max_length=PASSWORD_LENGTH[-1])]
# What has the form of an address; whether anybody reads mail there is not known (RFC 5321: 254 characters).
Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")
]


class Credentials(BaseModel):
    """A user name and a password."""

    username: Text = Field(max_length=150)
    password: Text = Field(max_length=1024)


class Registration(BaseModel):
    """A new customer."""

    username: NewName
    password: NewPassword
    email: Email | None = None


class PasswordChange(BaseModel):
    """The password that the account has, and the one that it is to have."""

    current_password: Text = Field(max_length=1024)
    new_password: NewPassword


class RefreshRequest(BaseModel):
    """The refresh token, unless it is in the cookie."""

    refresh_token: str | None = Field(default=None, max_length=200)


class SignedIn(BaseModel):
    """A successful log-in; both tokens also come as cookies."""

    message: Literal["Authentication successful"] = "Authentication successful"
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # A kind of token is no secret.
    expires_in: int = Field(description="Seconds.")
    refresh_token: str


class UserOut(BaseModel):
    """A user, as everybody else sees one: without the password."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    username: str
    email: str | None
    role: str
    disabled: bool
    created_at: datetime


class SignedOff(BaseModel):
    """The ids (`sid`, `jti`) whose tokens are refused although they are signed and have not ended."""

    ids: list[str]
