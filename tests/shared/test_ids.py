"""Ids sort by creation time, and each time has a smallest id."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from shared.ids import first_id, new_id


def test_an_id_has_version_7_and_is_between_the_first_ids_before_and_after_its_creation():
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert first_id(before) < made < first_id(datetime.now(UTC), timedelta(milliseconds=1))


def test_the_first_id_of_a_moment_has_only_its_milliseconds():
    moment = datetime(2026, 11, 27, 5, 0, 0, 123000, tzinfo=UTC)
    assert first_id(moment) == UUID(int=1795755600123 << 80)
    assert first_id(moment, timedelta(seconds=-1)) == UUID(int=1795755599123 << 80)


def test_a_naive_moment_is_in_utc():
    moment = datetime(2026, 11, 27, 7, tzinfo=timezone(timedelta(hours=2)))
    assert (
        first_id(moment)
        == first_id(datetime(2026, 11, 27, 5))
        == first_id(datetime(2026, 11, 27, 5, tzinfo=UTC))
    )


@pytest.mark.parametrize("skew", [timedelta(), timedelta(minutes=1), timedelta(minutes=-1)])
def test_the_first_and_the_last_moment_have_a_first_id(skew):
    assert first_id(datetime.min, skew) == UUID(int=0)
    assert first_id(datetime.max, skew) > new_id()
