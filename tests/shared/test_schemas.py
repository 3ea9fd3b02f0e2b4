"""Field types of all services' bodies and queries."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from shared.errors import ValidationFailed
from shared.pages import decode_cursor, encode_cursor
from shared.schemas import Body, Id, Integer, InternalBody, Number, Time

ID = "018f5c41-5d80-7a2b-8e14-7fbc9d512f04"


class Sent(Body):
    """One field of each type."""

    count: Integer | None = None
    flag: bool | None = None
    share: Number | None = None
    name: str | None = None
    id: Id | None = None
    many: list[Integer] | None = None


class Query(BaseModel):
    """A query with a time."""

    at: Time


def is_taken(model: type[BaseModel], **values: Any) -> bool:
    try:
        model.model_validate(values)
    except ValidationError:
        return False
    return True


def test_the_types_of_json_bodies_are_strict():
    taken = [("count", 5), ("count", 5.0), ("count", -1e3), ("flag", True), ("share", 4.5), ("share", 4)]
    taken += [("name", "5"), ("id", ID), ("many", [1, 2.0])]
    refused = [("count", True), ("count", "5"), ("count", 5.5), ("count", 1e400), ("flag", "no"), ("flag", 1)]
    refused += [("share", True), ("share", "4.5"), ("name", 5), ("name", True), ("id", 5), ("many", "1")]
    refused += [("many", {"1": 1}), ("many", [True]), ("unknown", 1)]
    assert [each for each in taken if not is_taken(Sent, **dict([each]))] == []
    assert [each for each in refused if is_taken(Sent, **dict([each]))] == []


def test_internal_bodies_ignore_what_a_newer_release_sends():
    class Told(InternalBody):
        count: Integer

    assert is_taken(Told, count=1, more="of it")
    assert not is_taken(Told, count="1")


def test_a_time_must_be_in_rfc_3339_format():
    taken = ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.123456z", "2026-01-31 12:00:00+05:30"]
    refused = ["2026", "2026-01-31", "1767225600", "2026-01-31T12:00:00", "2026-01-31T12:00Z", "yesterday"]
    assert [each for each in taken if not is_taken(Query, at=each)] == []
    assert [each for each in refused if is_taken(Query, at=each)] == []


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_at_the_end_of_the_calendar_is_clamped(end: str):
    at = Query(at=end).at  # type: ignore[arg-type]
    assert datetime.min.replace(tzinfo=UTC) < at < datetime.max.replace(tzinfo=UTC)
    assert at.astimezone(UTC).tzinfo is UTC


def test_a_cursor_with_an_unpaired_surrogate_is_refused():
    for position in ("\ud83d", ["a", "\udc00"], {"\ud83d": 1}):
        cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
        with pytest.raises(ValidationFailed):
            decode_cursor(cursor)
    assert decode_cursor(encode_cursor("😀")) == "😀"
