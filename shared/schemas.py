"""Types that several services' schemas are made of."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
# Control characters, halves of surrogate pairs, and Unicode's own ends of lines and paragraphs.
CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
NOT_STORED = re.compile("[\0\ud800-\udfff]")  # What PostgreSQL's text cannot have.


def _refuse_nul(text: str) -> str:
    if NOT_STORED.search(text):
        raise ValueError("must not contain a NUL character, nor half of a surrogate pair")
    return text


def _trim(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    trimmed = value.strip()
    # Zero-width and other format characters show nothing either.
    return trimmed if any(category(sign)[0] != "Z" and category(sign) != "Cf" for sign in trimmed) else ""


def is_blank(value: Any) -> bool:
    """Tell whether this is a text that shows nothing."""
    return isinstance(value, str) and not _trim(value)


def _none_if_blank(value: Any) -> Any:
    return None if is_blank(value) else value


def _refuse_controls(text: str) -> str:
    if any(category(sign) in CONTROLS for sign in text):
        raise ValueError("must be one line, without control characters")
    return text


def _read_integer(value: Any) -> Any:
    # JSON has one kind of number (RFC 8259, section 6).
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _require_number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def _require_rfc_3339(value: Any) -> Any:
    # Pydantic would take a bare number for seconds, and a date for its midnight.
    if isinstance(value, str) and not RFC_3339.fullmatch(value):
        raise ValueError("must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


def _clamp(moment: datetime) -> datetime:
    # Nothing happened so early or late, and there is room left to reckon with time zones and days.
    if moment.replace(tzinfo=None) < datetime.min + DAY:
        return EARLIEST
    return LATEST if moment.replace(tzinfo=None) > datetime.max - DAY else moment.astimezone(UTC)


EARLIEST, LATEST = (moment.replace(tzinfo=UTC) for moment in (datetime.min + DAY, datetime.max - DAY))
Time = Annotated[AwareDatetime, BeforeValidator(_require_rfc_3339), AfterValidator(_clamp)]
# Of JSON bodies, whose types are strict: a text or a boolean is no number, and `5.0` is an integer.
Integer = Annotated[int, BeforeValidator(_read_integer)]
Number = Annotated[Decimal, Strict(False), BeforeValidator(_require_number)]
# These have no kind of their own in JSON, and are written as texts.
Id = Annotated[UUID, Strict(False)]


class Body(BaseModel):
    """The base of the JSON bodies of our own public routes: unknown members are refused, types are strict."""

    model_config = ConfigDict(extra="forbid", strict=True)


class InternalBody(BaseModel):
    """The base of the JSON bodies of internal routes, which ignore what only a newer release sends."""

    model_config = ConfigDict(extra="ignore", strict=True)


# What is taken as it is, such as a password.
Text = Annotated[str, StringConstraints(min_length=1), AfterValidator(_refuse_nul)]
# What people write. It is trimmed, and one that looks empty is empty.
Line = Annotated[
    str, BeforeValidator(_trim), StringConstraints(min_length=1), AfterValidator(_refuse_controls)
]
Paragraphs = Annotated[str, BeforeValidator(_trim), AfterValidator(_refuse_nul)]
# With this, an empty text is none: `Annotated[Line | None, Field(max_length=200), BLANK_IS_NONE]`.
BLANK_IS_NONE = BeforeValidator(_none_if_blank)


def has_lone_surrogate(value: Any) -> bool:
    """Tell whether a text in a value of JSON has half of a surrogate pair, which UTF-8 has not (RFC 3629)."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def example(values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return a model's `json_schema_extra`, by which the OpenAPI document has these values as its example."""
    return {"examples": [dict(values)]}


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return such a model's example, for that of another one which holds it."""
    extra: Any = model.model_config["json_schema_extra"]
    found: dict[str, Any] = extra["examples"][0]
    return found
