"""Regular work, and the provider's events that were heard."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, update
from sqlalchemy.dialects.postgresql import insert

from payments.tables import jobs, provider_events


class Claim(NamedTuple):
    """How far a job has come, and the time: the database's, since the clocks of replicas differ."""

    position: datetime
    now: datetime


def claim_job(connection: Connection, name: str, *, every: timedelta) -> Claim | None:
    """Take a job whose time has come; return None if it is not its time."""
    row = connection.execute(
        update(jobs)
        .where(jobs.c.name == name, jobs.c.next_at <= func.now())
        .values(next_at=func.now() + every)
        .returning(jobs.c.position, func.now())
    ).first()
    return Claim(*row) if row else None


def move_job(connection: Connection, name: str, position: datetime) -> None:
    """Note how far a job has come."""
    connection.execute(
        update(jobs).where(jobs.c.name == name, jobs.c.position < position).values(position=position)
    )


def insert_event(connection: Connection, event_id: str) -> bool:
    """Remember an event; tell whether it is new."""
    new = connection.execute(
        insert(provider_events).values(id=event_id).on_conflict_do_nothing().returning(provider_events.c.id)
    )
    return new.first() is not None


def forget_events(connection: Connection, older_than: timedelta) -> int:
    """Delete the events from before; return how many they were."""
    return connection.execute(
        delete(provider_events).where(provider_events.c.received_at < func.now() - older_than)
    ).rowcount
