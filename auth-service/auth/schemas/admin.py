"""Requests and responses of the admins' routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from auth.domain import Scope
from auth.schemas.accounts import UserOut
from shared.pages import PageQuery
from shared.schemas import Text


class Patch(BaseModel):
    """A change: what is left out, or null, stays as it is."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _refuse_nothing(self) -> "Patch":
        if not self.changes:
            raise ValueError("has nothing to change")
        return self

    @property
    def changes(self) -> dict[str, object]:
        """Return what is to be changed, by name."""
        return {name: value for name, value in self if value is not None}


class UserQuery(PageQuery):
    """Which users are wanted; `q` is a part of the name or the e-mail address, or an id."""

    q: Text | None = Field(default=None, max_length=200)
    role: Literal["guest", "customer", "admin"] | None = None
    disabled: bool | None = None


class UserPatch(Patch):
    """Another role; the account closed or opened."""

    role: Literal["customer", "admin"] | None = None
    disabled: StrictBool | None = None


class UserPage(BaseModel):
    """A page of users, newest first."""

    data: list[UserOut]
    next: str | None


class SessionOut(BaseModel):
    """A log-in that is still good, as an admin sees it; its id is the `sid` of its tokens."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


class SessionList(BaseModel):
    """All live sessions of a user, newest first."""

    data: list[SessionOut]
    next: None = None


class NewClient(BaseModel):
    """A client to be made for an integrator."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(max_length=100)
    scopes: set[Scope] = Field(min_length=1)


class ClientPatch(Patch):
    """Another name, other scopes; the client closed or opened."""

    name: Text | None = Field(default=None, max_length=100)
    scopes: set[Scope] | None = Field(default=None, min_length=1)
    disabled: StrictBool | None = None

    @property
    def changes(self) -> dict[str, object]:
        """Return what is to be changed, by name, with the scopes as they are kept."""
        changes = super().changes
        return changes | {"scopes": sorted(self.scopes)} if self.scopes else changes


class ClientOut(BaseModel):
    """A client, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    scopes: list[Scope]
    disabled: bool
    created_at: datetime
    created_by: UUID | None


class ClientWithSecret(ClientOut):
    """A client with the secret that was just made; nobody can show it again."""

    client_secret: str


class ClientPage(BaseModel):
    """A page of clients, newest first."""

    data: list[ClientOut]
    next: str | None
