"""Tries that are counted, and places that are known."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from auth.domain import PLACE_LIFE, Allowance
from auth.tables import known_places, login_attempts


def take_try(connection: Connection, key: bytes, allowance: Allowance) -> float:
    """Count a try and return 0; if it comes too early, count nothing and return the seconds to wait.

    One statement, so that of many at once only so many get through; and the clock of the moment in which the
    row is had, since of two transactions the one that began first may come second.
    """
    table, now = login_attempts.c, func.clock_timestamp()
    passed = func.greatest(0, func.date_part("epoch", now - table.last_at))
    level = func.greatest(0, table.level - passed / allowance.forgiven_after.total_seconds()) + 1
    # Half a try is left for what is forgiven between two tries in a row.
    wait = case((level < allowance.free - 0.5, 0), else_=func.power(2, level - allowance.free))
    values = {"level": level, "last_at": now, "free_at": now + func.make_interval(0, 0, 0, 0, 0, 0, wait)}
    taken = (
        insert(login_attempts)
        .values(key=key, level=1, last_at=now, free_at=now)
        .on_conflict_do_update(index_elements=[table.key], set_=values, where=table.free_at <= now)
        .returning(table.key)
    )
    if connection.execute(taken).first():
        return 0
    left = func.date_part("epoch", table.free_at - now)
    # A wait that ended between the two statements is over in a moment.
    return max(0.1, float(connection.execute(select(left).where(table.key == key)).scalar() or 0))


def give_back(connection: Connection, keys: Iterable[bytes]) -> None:
    """Take back a try that was none, with the wait that it brought.

    One after the other in the order in which they were counted, so that no two wait for each other.
    """
    level = func.greatest(0, login_attempts.c.level - 1)
    for key in keys:
        chosen = update(login_attempts).where(login_attempts.c.key == key)
        connection.execute(chosen.values(level=level, free_at=func.now()))


def forget_tries(connection: Connection, key: bytes) -> None:
    """Forget every try that was counted there."""
    connection.execute(delete(login_attempts).where(login_attempts.c.key == key))


def is_known_place(connection: Connection, user_id: UUID, place_hash: bytes) -> bool:
    """Tell whether the account was logged in to from there not long ago."""
    query = select(known_places.c.user_id).where(
        known_places.c.user_id == user_id,
        known_places.c.place_hash == place_hash,
        known_places.c.last_seen > func.now() - PLACE_LIFE,
    )
    return connection.execute(query).first() is not None


def remember_place(connection: Connection, user_id: UUID, place_hash: bytes) -> None:
    """Write down that the account was logged in to from there just now."""
    statement = insert(known_places).values(user_id=user_id, place_hash=place_hash)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[known_places.c.user_id, known_places.c.place_hash],
            set_={"last_seen": func.now()},
        )
    )
