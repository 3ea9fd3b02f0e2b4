"""Bodies of the routes for sessions."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.schemas import example, example_of


class SessionOut(BaseModel):
    """A live session; its id is the `sid` of its tokens."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra=example(
            {
                "id": "018f5c3e-9b52-7e0a-8c33-5d9a7b3f2d02",
                "created_at": "2026-03-01T09:30:00Z",
                "last_used_at": "2026-03-02T18:05:12Z",
                "expires_at": "2026-04-01T18:05:12Z",
                "address": "192.0.2.7",
                "user_agent": "Mozilla/5.0",
            }
        ),
    )

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


class SessionList(BaseModel):
    """All live sessions of a user, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(SessionOut)], "next": None}))

    data: list[SessionOut]
    next: None = None


class OwnSession(SessionOut):
    """A live session of the caller; `last_used_at` is when its tokens were last renewed."""

    model_config = ConfigDict(json_schema_extra=example({**example_of(SessionOut), "current": True}))

    current: bool = Field(description="Whether the caller's token is of this session.")


class OwnSessionList(BaseModel):
    """All live sessions of the caller, newest first."""

    model_config = ConfigDict(json_schema_extra=example({"data": [example_of(OwnSession)], "next": None}))

    data: list[OwnSession]
    next: None = None
