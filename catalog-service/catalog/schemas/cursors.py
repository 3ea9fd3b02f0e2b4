"""Cursors of product and category lists. A cursor is valid only with its own filters and order."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from catalog.domain import MAX_ID, Filter, Sort
from shared.pages import bad_cursor, decode_cursor, encode_cursor
from shared.schemas import Text

Id = Annotated[int, Field(ge=0, le=MAX_ID, strict=True)]
Key = {
    # A rank is a small single-precision number.
    None: Annotated[float, Field(ge=0, le=1000)],
    Sort.PRICE: Id,
    Sort.PRICE_DESCENDING: Id,
    Sort.TITLE: Annotated[Text, Field(max_length=100)],
    Sort.RATING: Annotated[Decimal, Field(ge=-1, le=5)],
    Sort.NEWEST: Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC))],
}
# The list's fingerprint, the corrected words of a search, and the position: the sort key (unless that is the
# id) and the id.
CURSORS: dict[Sort | None, TypeAdapter[Any]] = {
    Sort.ID: TypeAdapter(tuple[str, Text | None, Id]),
    **{sort: TypeAdapter(tuple[str, Text | None, key, Id]) for sort, key in Key.items()},  # type: ignore[valid-type]
}


def encode_position(wanted: Filter, sort: Sort | None, position: tuple[Any, ...] | None) -> str | None:
    """Return the cursor of a position in a list, or None for None."""
    if position is None:
        return None
    parts = (_fingerprint(wanted, sort), wanted.corrected, *position)
    return encode_cursor(CURSORS[sort].dump_python(parts, mode="json"))


def decode_position(
    wanted: Filter, sort: Sort | None, cursor: str | None
) -> tuple[Filter, tuple[Any, ...] | None]:
    """Return the filter, with the corrected words of the first page, and the position of the cursor.

    Raises ValidationFailed unless the cursor belongs to this list.
    """
    if cursor is None:
        return wanted, None
    try:
        fingerprint, corrected, *position = CURSORS[sort].validate_python(decode_cursor(cursor))
    except ValidationError as error:
        raise bad_cursor() from error
    if fingerprint != _fingerprint(wanted, sort):
        raise bad_cursor()
    return replace(wanted, corrected=corrected), tuple(position)


def encode_name(name: str | None) -> str | None:
    """Return the cursor of a list ordered by name, or None for None."""
    return None if name is None else encode_cursor(name)


def decode_name(cursor: str | None) -> str:
    """Return the name in a cursor, "" without one; raise ValidationFailed."""
    name = "" if cursor is None else decode_cursor(cursor)
    if not isinstance(name, str) or "\0" in name:
        raise bad_cursor()
    return name


def _fingerprint(wanted: Filter, sort: Sort | None) -> str:
    """Return a short hash of the filters and the order."""
    return hashlib.blake2s(repr((replace(wanted, corrected=None), sort)).encode(), digest_size=6).hexdigest()
