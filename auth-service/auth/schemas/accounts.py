"""Bodies of the log-in and account routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from auth.domain.credentials import NAME_LENGTH, PASSWORD_LENGTH, choose_name
from auth.schemas.totp import LONGEST_CODE
from shared.schemas import BLANK_IS_NONE, Body, Email, InternalBody, Line, Text, Time, example, example_of

NewName = Annotated[
    Line, Field(min_length=NAME_LENGTH[0], max_length=NAME_LENGTH[-1]), AfterValidator(choose_name)
]
# The other rules depend on the whole account; see `find_weakness`.
NewPassword = Annotated[Text, Field(min_length=PASSWORD_LENGTH[0], max_length=PASSWORD_LENGTH[-1])]


EXAMPLE_USER = "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01"
EXAMPLE_LINK = {"token": "2Jx0cY1d4vQmF8rT5zLw9nKs7bHg3aEu6iPo1tRyV0Q"}


class Credentials(Body):
    """A username and a password, and a code if the account has two-factor authentication."""

    model_config = ConfigDict(json_schema_extra=example({"username": "admin", "password": "admin"}))

    username: Line = Field(max_length=150)
    password: Text = Field(max_length=1024)
    otp: Annotated[Line | None, Field(max_length=LONGEST_CODE), BLANK_IS_NONE] = Field(
        default=None, description="A code of the authenticator app, or a recovery code."
    )


class Registration(Body):
    """A new customer."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"username": "ada", "password": "correct horse battery", "email": "ada@example.com"}
        )
    )

    username: NewName
    password: NewPassword
    email: Annotated[Email | None, BLANK_IS_NONE] = None


class PasswordChange(Body):
    """The current password and the new one."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {"current_password": "correct horse battery", "new_password": "a longer one than before"}
        )
    )

    current_password: Text = Field(max_length=1024)
    new_password: NewPassword


class RefreshRequest(Body):
    """The refresh token, if it is not in the cookie."""

    model_config = ConfigDict(json_schema_extra=example({"refresh_token": "sfr_Vt0c7mJ1yQx4uKp9"}))

    refresh_token: str | None = Field(default=None, max_length=200)


class SignedIn(BaseModel):
    """The tokens of a session; the shop's own pages also get both as cookies."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "message": "Authentication successful",
                "access_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl",
                "token_type": "Bearer",
                "expires_in": 900,
                "refresh_token": "sfr_Vt0c7mJ1yQx4uKp9",
            }
        )
    )

    message: Literal["Authentication successful"] = "Authentication successful"
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # The type of a token is not a secret.
    expires_in: int = Field(description="Seconds.")
    refresh_token: str
    totp_required: Literal[True] | None = Field(
        default=None,
        description="Present if the tokens get the user's role only once two-factor authentication is on.",
    )


class EmailIn(Body):
    """An email address."""

    model_config = ConfigDict(json_schema_extra=example({"email": "ada@example.com"}))

    email: Email


class LinkToken(Body):
    """The token of a mailed link."""

    model_config = ConfigDict(json_schema_extra=example(EXAMPLE_LINK))

    token: Text = Field(max_length=100)


class PasswordReset(LinkToken):
    """The token of a mailed link, and the new password."""

    model_config = ConfigDict(
        json_schema_extra=example({**EXAMPLE_LINK, "password": "correct horse battery"})
    )

    password: NewPassword


class EmailOut(BaseModel):
    """An email address; null without one."""

    model_config = ConfigDict(json_schema_extra=example({"email": "ada@example.com"}))

    email: str | None


class UsersIn(InternalBody):
    """Users, by the `sub` of their tokens."""

    model_config = ConfigDict(json_schema_extra=example({"users": [EXAMPLE_USER]}))

    users: list[Text] = Field(min_length=1, max_length=1000)


class GuestsOut(BaseModel):
    """The users without an account."""

    model_config = ConfigDict(json_schema_extra=example({"guests": [EXAMPLE_USER]}))

    guests: list[str]


class UserOut(BaseModel):
    """A user, without the password."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01",
                "username": "ada",
                "email": "ada@example.com",
                "email_verified": True,
                "role": "customer",
                "disabled": False,
                "created_at": "2026-03-01T09:30:00Z",
                "has_totp": True,
            }
        ),
    )

    id: UUID
    username: str
    email: str | None
    email_verified: bool
    role: str
    disabled: bool
    created_at: datetime
    has_totp: bool = Field(description="Whether log-ins need a code (two-factor authentication).")


class OwnUser(UserOut):
    """The caller's own account."""

    model_config = ConfigDict(
        json_schema_extra=example({**example_of(UserOut), "totp_required": False, "recovery_codes_left": 10})
    )

    totp_required: bool = Field(
        description="Whether the tokens get the role only once two-factor authentication is on."
    )
    recovery_codes_left: int


class SignedOffQuery(BaseModel):
    """Limits the list to sign-offs after `since`, which is the `as_of` of an earlier response."""

    since: Time | None = None


class SignedOff(BaseModel):
    """The ids (`sid`, `jti`) whose tokens are refused before they expire.

    `since` is present if the list contains only newer sign-offs.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "ids": ["018f5c3e-9b52-7e0a-8c33-5d9a7b3f2d02"],
                "as_of": "2026-03-01T09:30:02Z",
                "since": "2026-03-01T09:30:00Z",
            }
        )
    )

    ids: list[str]
    as_of: datetime
    since: datetime | None = None
