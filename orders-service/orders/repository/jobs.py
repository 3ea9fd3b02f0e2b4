"""Turns of what is done once in a while, for all replicas together."""

from datetime import timedelta

from sqlalchemy import Connection, func, update

from orders.tables import jobs


def take_turn(connection: Connection, name: str, *, every: timedelta) -> bool:
    """Tell whether a job is due, and whose turn it is then: the caller's, until it is due again."""
    turn = (
        update(jobs)
        .where(jobs.c.name == name, jobs.c.due_at <= func.now())
        .values(due_at=func.now() + every)
        .returning(jobs.c.name)
    )
    return connection.execute(turn).first() is not None
