"""Cursors of the feed of changed orders."""

from typing import Annotated

from pydantic import Field, Strict, TypeAdapter, ValidationError

from orders.domain import FeedPosition
from shared.pages import bad_cursor, decode_cursor, encode_cursor
from shared.schemas import Id, Text

_Number = Annotated[int, Strict(), Field(ge=0)]
_PARTS = TypeAdapter(tuple[Text, _Number, Id, Annotated[bool, Strict()]])


def encode_position(position: FeedPosition) -> str:
    """Return the cursor of a position."""
    return encode_cursor([position.history, position.transaction, str(position.event), position.reads_past])


def decode_position(cursor: str | None) -> FeedPosition | None:
    """Return the position of a cursor, or None for None; raise ValidationFailed for one of another list."""
    if cursor is None:
        return None
    try:
        return FeedPosition(*_PARTS.validate_python(decode_cursor(cursor)))
    except ValidationError as error:
        raise bad_cursor() from error
