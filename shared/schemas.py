"""Field types and base classes for the services' schemas."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.errors import MessageError
from email.headerregistry import Address as EmailAddress
from typing import Annotated, Any
from unicodedata import category
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    Strict,
    StringConstraints,
)

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
DAY = timedelta(days=1)
# Control characters, unpaired surrogates, and Unicode's line and paragraph separators.
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
NOT_STORED = re.compile("[\0\ud800-\udfff]")  # Characters that PostgreSQL's text cannot store.


def _refuse_nul(text: str) -> str:
    if NOT_STORED.search(text):
        raise ValueError("must not contain a NUL character or an unpaired surrogate")
    return text


def _trim(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    trimmed = value.strip()
    # Zero-width and other format characters are invisible, too.
    return trimmed if any(category(sign)[0] != "Z" and category(sign) != "Cf" for sign in trimmed) else ""


def is_blank(value: Any) -> bool:
    """Return whether this is text without a visible character."""
    return isinstance(value, str) and not _trim(value)


def _none_if_blank(value: Any) -> Any:
    return None if is_blank(value) else value


def _refuse_controls(text: str) -> str:
    if any(category(sign) in CONTROLS for sign in text):
        raise ValueError("must be one line, without control characters")
    return text


def _read_integer(value: Any) -> Any:
    # JSON does not distinguish integers from other numbers (RFC 8259, section 6).
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _require_number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def _require_rfc_3339(value: Any) -> Any:
    # Pydantic would read a bare number as seconds, and a date as its midnight.
    is_time = bool(RFC_3339.fullmatch(value)) if isinstance(value, str) else isinstance(value, datetime)
    if value is not None and not is_time:
        raise ValueError("must be an RFC 3339 time, such as 2026-01-31T12:00:00Z")
    return value


def _clamp(moment: datetime) -> datetime:
    # A day of margin, so that adding a time zone or a day cannot overflow.
    if moment.replace(tzinfo=None) < datetime.min + DAY:
        return EARLIEST
    return LATEST if moment.replace(tzinfo=None) > datetime.max - DAY else moment.astimezone(UTC)


EARLIEST, LATEST = (moment.replace(tzinfo=UTC) for moment in (datetime.min + DAY, datetime.max - DAY))
Time = Annotated[AwareDatetime, BeforeValidator(_require_rfc_3339), AfterValidator(_clamp)]
# For JSON bodies, whose types are strict: a string or a boolean is not a number, but `5.0` is an integer.
Integer = Annotated[int, BeforeValidator(_read_integer)]
Number = Annotated[Decimal, Strict(False), BeforeValidator(_require_number)]
# JSON has no UUIDs; they are strings.
Id = Annotated[UUID, Strict(False)]


class Body(BaseModel):
    """The base of the JSON bodies of public routes: unknown members are refused, types are strict."""

    model_config = ConfigDict(extra="forbid", strict=True)


class InternalBody(BaseModel):
    """The base of the JSON bodies of internal routes, which ignore members that a newer release sends."""

    model_config = ConfigDict(extra="ignore", strict=True)


# Text that is not normalized, such as a password.
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_refuse_nul)]
# Text that people type. It is trimmed, and empty if it has no visible character.
Line = Annotated[
    str, BeforeValidator(_trim), StringConstraints(min_length=1), AfterValidator(_refuse_controls)
]
Paragraphs = Annotated[str, BeforeValidator(_trim), AfterValidator(_refuse_nul)]
# Turns blank text into None: `Annotated[Line | None, Field(max_length=200), BLANK_IS_NONE]`.
BLANK_IS_NONE = BeforeValidator(_none_if_blank)


def _require_address(text: str) -> str:
    local, _, domain = text.rpartition("@")
    # The parser knows no addresses of RFC 6531, whose local parts have letters of any script.
    plain = f"{re.sub('[^ -~]', 'x', local)}@{domain}"
    try:
        is_address = EmailAddress(addr_spec=plain).addr_spec == plain
    except (ValueError, IndexError, MessageError):
        is_address = False
    if not is_address:
        raise ValueError("must be an email address, such as ada@example.com")
    return text


# The syntax of RFC 5321, which says nothing about whether the address exists.
Email = Annotated[
    Line,
    StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(_require_address),
]


def has_lone_surrogate(value: Any) -> bool:
    """Return whether a string in a JSON value has an unpaired surrogate, which UTF-8 excludes (RFC 3629)."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def example(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return a model's `json_schema_extra` with these values as its example in the OpenAPI document."""
    return {"examples": [dict(values)]}


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's example, to build the example of a model that contains it."""
    extra: Any = model.model_config["json_schema_extra"]
    found: dict[str, Any] = extra["examples"][0]
    return found
