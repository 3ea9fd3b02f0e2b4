"""Periodic jobs, and the provider's events that were received."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, update
from sqlalchemy.dialects.postgresql import insert

from payments.tables import jobs, provider_events


class Claim(NamedTuple):
    """The position of a job, and the database's time, because the clocks of replicas differ."""

    position: datetime
    now: datetime


def claim_job(connection: Connection, name: str, *, every: timedelta) -> Claim | None:
    """Claim a job that is due; return None if it is not due."""
    row = connection.execute(
        update(jobs)
        .where(jobs.c.name == name, jobs.c.next_at <= func.now())
        .values(next_at=func.now() + every)
        .returning(jobs.c.position, func.now())
    ).first()
    return Claim(*row) if row else None


def move_job(connection: Connection, name: str, position: datetime) -> None:
    """Advance the position of a job."""
    connection.execute(
        update(jobs).where(jobs.c.name == name, jobs.c.position < position).values(position=position)
    )


def insert_event(connection: Connection, event_id: str) -> bool:
    """Record an event; return whether it is new."""
    inserted = connection.execute(
        insert(provider_events).values(id=event_id).on_conflict_do_nothing().returning(provider_events.c.id)
    )
    return inserted.first() is not None


def delete_events(connection: Connection, older_than: timedelta) -> int:
    """Delete the events older than this; return their number."""
    return connection.execute(
        delete(provider_events).where(provider_events.c.received_at < func.now() - older_than)
    ).rowcount
