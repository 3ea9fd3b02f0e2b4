"""Periodic jobs, each run by one replica at a time."""

from datetime import timedelta

from sqlalchemy import Connection, func, update

from orders.tables import jobs


def take_turn(connection: Connection, name: str, *, every: timedelta) -> bool:
    """Return whether a job is due; the caller then runs it, and it is due again after `every`."""
    turn = (
        update(jobs)
        .where(jobs.c.name == name, jobs.c.due_at <= func.now())
        .values(due_at=func.now() + every)
        .returning(jobs.c.name)
    )
    return connection.execute(turn).first() is not None
