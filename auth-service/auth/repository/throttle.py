"""Tries that are counted, and places that are known."""

from collections.abc import Iterable, Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, array, insert

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


def take_tries(connection: Connection, counted: Sequence[tuple[bytes, Allowance]]) -> float:
    """Count a try under each of the keys and return 0; if one comes too early, return the seconds to wait.

    Then none is counted: what was is given back.
    """
    statement = _make_tries(tuple(allowance for _, allowance in counted))
    keys = {f"key_{number}": key for number, (key, _) in enumerate(counted)}
    taken = set(connection.execute(statement, keys).scalars())
    if len(taken) == len(counted):
        return 0
    give_back(connection, [key for key, _ in counted if key in taken])
    # A wait that ended between the two statements is over in a moment.
    return max(0.1, find_wait(connection, [key for key, _ in counted]))


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
def _make_tries(allowances: tuple[Allowance, ...]) -> Executable:
    """Return the statement that counts a try under as many keys; few combinations are asked for.

    One statement, so that of many at once only so many get through; and the clock of the moment in which the
    row is had, since of two transactions the one that began first may come second.
    """
    table, now = login_attempts.c, func.clock_timestamp()
    keys = [bindparam(f"key_{number}", type_=BYTEA) for number in range(len(allowances))]

    def choose(values: Iterable[float]) -> ColumnElement[float]:
        return case(*((table.key == key, literal(value)) for key, value in zip(keys, values, strict=True)))

    forgiven_after = choose(allowance.forgiven_after.total_seconds() for allowance in allowances)
    free = choose(allowance.free for allowance in allowances)
    passed = func.greatest(0, func.date_part("epoch", now - table.last_at))
    level = func.greatest(0, table.level - passed / forgiven_after) + 1
    # Half a try is left for what is forgiven between two tries in a row.
    wait = case((level < free - 0.5, 0), else_=func.power(2, level - free))
    values = {"level": level, "last_at": now, "free_at": now + func.make_interval(0, 0, 0, 0, 0, 0, wait)}
    return (
        insert(login_attempts)
        # In the order in which they are given, so that no two wait for each other. A SELECT, since SQLAlchemy
        # would compile an INSERT of several VALUES anew each time.
        .from_select(
            ["key", "level", "last_at", "free_at"], select(func.unnest(array(keys)), literal(1), now, now)
        )
        .on_conflict_do_update(index_elements=[table.key], set_=values, where=table.free_at <= now)
        .returning(table.key)
    )
