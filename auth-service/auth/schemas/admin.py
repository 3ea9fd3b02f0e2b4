"""Bodies of the admins' routes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from auth.domain.accounts import AccountRole
from auth.domain.clients import Scope
from auth.schemas.accounts import UserOut
from shared.pages import PageQuery
from shared.schemas import Body, Line, Text, example, example_of

# JSON has no sets and no enumerations: the body contains a list of strings.
Scopes = Annotated[set[Annotated[Scope, Strict(False)]], Strict(False)]


class Patch(Body):
    """A change; members that are missing or null stay unchanged."""

    @model_validator(mode="after")
    def _refuse_nothing(self) -> "Patch":
        if not self.changes:
            raise ValueError("must contain at least one change")
        return self

    @property
    def changes(self) -> dict[str, object]:
        """Return the new values by name."""
        return {name: value for name, value in self if value is not None}


class UserQuery(PageQuery):
    """Filters for the list of users.

    `q` is a user id, or a part of the name or the e-mail address; the search ignores case and accents.
    """

    q: Text | None = Field(default=None, max_length=200)
    role: AccountRole | Literal["guest"] | None = None
    disabled: bool | None = None


class UserPatch(Patch):
    """A new role, or whether the account is disabled."""

    model_config = ConfigDict(
        json_schema_extra=example({"role": "clerk", "current_password": "correct horse battery"})
    )

    role: AccountRole | None = None
    disabled: bool | None = None
    current_password: Text | None = Field(
        default=None, max_length=1024, description="The caller's own password; required with `role`."
    )

    @property
    def changes(self) -> dict[str, object]:
        """Return the new values by name."""
        return {name: value for name, value in super().changes.items() if name != "current_password"}


class UserPage(BaseModel):
    """A page of users, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(UserOut)], "next": None}))

    data: list[UserOut]
    next: str | None


class NewClient(Body):
    """A new client for an integrator."""

    model_config = ConfigDict(
        json_schema_extra=example({"name": "Till in the old town", "scopes": ["products:read"]}),
    )

    name: Line = Field(max_length=100)
    scopes: Scopes = Field(min_length=1)


class ClientPatch(Patch):
    """A new name, new scopes, or whether the client is disabled."""

    model_config = ConfigDict(json_schema_extra=example({"disabled": True}))

    name: Line | None = Field(default=None, max_length=100)
    scopes: Scopes | None = Field(default=None, min_length=1)
    disabled: bool | None = None

    @property
    def changes(self) -> dict[str, object]:
        """Return the new values by name, with the scopes sorted."""
        changes = super().changes
        return changes | {"scopes": sorted(self.scopes)} if self.scopes else changes


class ClientOut(BaseModel):
    """A client, without its secret."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": "app-018f5c40-2c6e-7b19-9f05-6eab8c401e03",
                "name": "Till in the old town",
                "scopes": ["products:read"],
                "disabled": False,
                "created_at": "2026-03-01T10:00:00Z",
                "created_by": "018f5c3e-7a10-7c44-9d21-4b8f6a2e1c01",
            }
        ),
    )

    id: str
    name: str
    scopes: list[Scope]
    disabled: bool
    created_at: datetime
    created_by: UUID | None


class ClientWithSecret(ClientOut):
    """A client with its new secret, which cannot be shown again."""

    model_config = ConfigDict(
        json_schema_extra=example({**example_of(ClientOut), "client_secret": "sfc_1Qm8Zr5Td2Wb7Ny4"})
    )

    client_secret: str


class ClientPage(BaseModel):
    """A page of clients, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(ClientOut)], "next": None}))

    data: list[ClientOut]
    next: str | None
