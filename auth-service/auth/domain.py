"""Users, credentials and tokens as plain Python."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class User:
    """Somebody with an account; a guest's has no password, so that nobody can log in to it."""

    id: UUID
    username: str
    email: str | None
    role: str
    password_hash: str | None = field(repr=False)
    disabled: bool
    created_at: datetime


@dataclass(frozen=True)
class Session:
    """What a successful log-in gives: a token and how many seconds it lives."""

    access_token: str = field(repr=False)
    expires_in: int
