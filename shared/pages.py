"""Pagination: a limit, and an opaque cursor for the position of the next page."""

import base64
import binascii
import json
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import ValidationFailed
from shared.schemas import has_lone_surrogate


class PageQuery(BaseModel):
    """The query parameters of a list; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=30, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=500, description="`next` of the previous page.")


def encode_cursor(position: Any) -> str:
    """Return the cursor of a position, which is any JSON value."""
    text = json.dumps(position, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Any:
    """Return the position of a cursor; raise ValidationFailed if the cursor is malformed."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_cursor() from error
    if has_lone_surrogate(position):
        raise bad_cursor()
    return position


def encode_id(last: UUID | None) -> str | None:
    """Return the cursor of a list that is ordered by UUID; None if there is no next page."""
    return None if last is None else encode_cursor(str(last))


def decode_id(cursor: str | None) -> UUID | None:
    """Return the UUID of such a cursor; raise ValidationFailed if it has none."""
    if cursor is None:
        return None
    position: Any = decode_cursor(cursor)
    try:
        return UUID(position)
    except (ValueError, TypeError, AttributeError) as error:
        raise bad_cursor() from error


def bad_cursor() -> ValidationFailed:
    """Return the error for a cursor that this list did not issue."""
    detail = "This is not a cursor of this list; send `next` unchanged, with the same filters."
    return ValidationFailed(errors=[{"location": "query", "field": "cursor", "detail": detail}])
