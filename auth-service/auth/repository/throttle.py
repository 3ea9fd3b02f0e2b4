"""Tries that are counted, and places that are known."""

from collections.abc import Iterable
from functools import cache
from uuid import UUID

from sqlalchemy import Connection, Executable, any_, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, insert

from auth.domain import PLACE_LIFE, Allowance
from auth.tables import known_places, login_attempts

# What is run for every log-in is made once: to make a statement takes longer than to send it.
FORGET_TRIES = delete(login_attempts).where(login_attempts.c.key == bindparam("key"))
FIND_PLACE = select(known_places.c.user_id).where(
    known_places.c.user_id == bindparam("user_id"),
    known_places.c.place_hash == bindparam("place_hash"),
    known_places.c.last_seen > func.now() - PLACE_LIFE,
)
SECONDS_LEFT = func.date_part("epoch", login_attempts.c.free_at - func.clock_timestamp())
FIND_WAIT = select(func.greatest(0, func.max(SECONDS_LEFT))).where(
    login_attempts.c.key == any_(bindparam("keys", type_=ARRAY(BYTEA)))
)
REMEMBER_PLACE = insert(known_places).on_conflict_do_update(
    index_elements=[known_places.c.user_id, known_places.c.place_hash], set_={"last_seen": func.now()}
)


def find_wait(connection: Connection, keys: Iterable[bytes]) -> float:
    """Return the seconds until a try may come that is counted under all of these keys; 0 for now."""
    return float(connection.execute(FIND_WAIT, {"keys": list(keys)}).scalar_one())


def take_try(connection: Connection, key: bytes, allowance: Allowance) -> float:
    """Count a try and return 0; if it comes too early, count nothing and return the seconds to wait."""
    if connection.execute(_make_try(allowance), {"key": key}).first():
        return 0
    # A wait that ended between the two statements is over in a moment.
    return max(0.1, find_wait(connection, [key]))


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
    connection.execute(FORGET_TRIES, {"key": key})


def is_known_place(connection: Connection, user_id: UUID, place_hash: bytes) -> bool:
    """Tell whether the account was logged in to from there not long ago."""
    place = {"user_id": user_id, "place_hash": place_hash}
    return connection.execute(FIND_PLACE, place).first() is not None


def remember_place(connection: Connection, user_id: UUID, place_hash: bytes) -> None:
    """Write down that the account was logged in to from there just now."""
    connection.execute(REMEMBER_PLACE, {"user_id": user_id, "place_hash": place_hash})


@cache
def _make_try(allowance: Allowance) -> Executable:
    """Return the statement that counts a try; there are few allowances, and each has its own.

    One statement, so that of many at once only so many get through; and the clock of the moment in which the
    row is had, since of two transactions the one that began first may come second.
    """
    table, now = login_attempts.c, func.clock_timestamp()
    passed = func.greatest(0, func.date_part("epoch", now - table.last_at))
    level = func.greatest(0, table.level - passed / allowance.forgiven_after.total_seconds()) + 1
    # Half a try is left for what is forgiven between two tries in a row.
    wait = case((level < allowance.free - 0.5, 0), else_=func.power(2, level - allowance.free))
    values = {"level": level, "last_at": now, "free_at": now + func.make_interval(0, 0, 0, 0, 0, 0, wait)}
    return (
        insert(login_attempts)
        .values(level=1, last_at=now, free_at=now)
        .on_conflict_do_update(index_elements=[table.key], set_=values, where=table.free_at <= now)
        .returning(table.key)
    )
