"""Keep as many days as the shop wants, and as many bytes."""

import logging
from datetime import UTC, datetime, timedelta

from logs.domain import choose_days_to_drop
from logs.repository import counts, partitions, records
from shared.database import Database

log = logging.getLogger(__name__)

MIB = 1024 * 1024
MOST_MOVED = 5000  # Records of one transaction.


def keep_days(database: Database, *, days_kept: int, mib_kept: int) -> None:
    """Make tomorrow's partition, drop what is too old or too much, and put counts together.

    One replica at a time does it, and the others pass.
    """
    today = datetime.now(UTC).date()
    with database.transaction() as connection:
        if not partitions.take_turn(connection):
            return
        partitions.make_days(connection, [today, today + timedelta(days=1)])
        days = partitions.read_days(connection)
        counts.merge_counts(connection)
    sizes = {day.date: day.bytes for day in days}
    for day in choose_days_to_drop(sizes, today, days_kept, mib_kept * MIB):
        with database.transaction() as connection:
            if not partitions.take_turn(connection):
                return
            if day in {each.date for each in partitions.read_days(connection)}:
                partitions.drop_day(connection, day)
        log.info("The records of %s were dropped", day, extra={"log.bytes": sizes[day]})
    if sizes.get(today, 0) > mib_kept * MIB:
        log.warning("Today's records alone take more than the shop wants to keep")


def move_old_records(database: Database, *, days_kept: int) -> None:
    """Move what older code kept, or still keeps, in the table that was not parted by day."""
    oldest = datetime.now(UTC) - timedelta(days=days_kept)
    while True:
        with database.transaction() as connection:
            moved = records.take_old_records(connection, most=MOST_MOVED)
            if not moved:
                return
            kept = [record for record in moved if record.time >= oldest]
            partitions.make_days(connection, {record.time.date() for record in kept})
            records.insert_records(connection, kept)
