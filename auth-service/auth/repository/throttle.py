"""Queries for counted log-in tries and known places."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
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

from auth.domain.accounts import PLACE_LIFE
from auth.domain.throttling import Allowance
from auth.tables import known_places, login_attempts

# Built once, because these statements run for every log-in and building one takes longer than sending it.
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
    """Return the seconds until the next try that counts under all of these keys; 0 if it is allowed now."""
    return float(connection.execute(FIND_WAIT, {"keys": list(keys)}).scalar_one())


def take_tries(connection: Connection, counted: Sequence[tuple[bytes, Allowance]]) -> float:
    """Count a try under each of the keys and return 0; return the seconds to wait if one key must wait.

    In that case the try counts under no key.
    """
    statement = _make_tries(tuple(allowance for _, allowance in counted))
    keys = {f"key_{number}": key for number, (key, _) in enumerate(counted)}
    taken = set(connection.execute(statement, keys).scalars())
    if len(taken) == len(counted):
        return 0
    give_back(connection, [key for key, _ in counted if key in taken])
    # The wait may have ended between the two statements.
    return max(0.1, find_wait(connection, [key for key, _ in counted]))


def give_back(connection: Connection, keys: Iterable[bytes]) -> None:
    """Take back one try under each of the keys, and its wait.

    The updates run in the order in which the tries were counted, so that transactions do not deadlock.
    """
    level = func.greatest(0, login_attempts.c.level - 1)
    for key in keys:
        chosen = update(login_attempts).where(login_attempts.c.key == key)
        connection.execute(chosen.values(level=level, free_at=func.now()))


def forget_tries(connection: Connection, key: bytes) -> None:
    """Forget all tries under the key."""
    connection.execute(FORGET_TRIES, {"key": key})


def is_known_place(connection: Connection, user_id: UUID, place_hash: bytes) -> bool:
    """Return whether the user recently logged in from this place."""
    place = {"user_id": user_id, "place_hash": place_hash}
    return connection.execute(FIND_PLACE, place).first() is not None


def remember_place(connection: Connection, user_id: UUID, place_hash: bytes) -> None:
    """Record that the user has logged in from this place."""
    connection.execute(REMEMBER_PLACE, {"user_id": user_id, "place_hash": place_hash})


@cache
def _make_tries(allowances: tuple[Allowance, ...]) -> Executable:
    """Return the statement that counts a try under a key for each allowance; few combinations occur.

    It is a single statement, so that concurrent tries cannot exceed an allowance. It uses the clock at the
    time of the row lock, because the transaction that started first may get the row second.
    """
    table, now = login_attempts.c, func.clock_timestamp()
    keys = [bindparam(f"key_{number}", type_=BYTEA) for number in range(len(allowances))]

    def choose(values: Iterable[float]) -> ColumnElement[float]:
        return case(*((table.key == key, literal(value)) for key, value in zip(keys, values, strict=True)))

    seconds = [allowance.forgiven_after.total_seconds() for allowance in allowances]
    forgiven_after = choose(seconds)
    free = choose(allowance.free for allowance in allowances)
    passed = func.greatest(0, func.date_part("epoch", now - table.last_at))
    level = func.greatest(0, table.level - passed / forgiven_after) + 1
    # The half allows for the fraction that is forgiven between two tries in a row.
    wait = case((level < free - 0.5, 0), else_=func.power(2, level - free))
    values = {
        "level": level,
        "last_at": now,
        "free_at": now + _make_interval(wait),
        "forgiven_at": now + _make_interval(level * forgiven_after),
    }
    return (
        insert(login_attempts)
        # Rows are inserted in the given order, so that transactions do not deadlock. The source is a SELECT,
        # because SQLAlchemy would compile an INSERT with several VALUES again each time.
        .from_select(
            ["key", "level", "last_at", "free_at", "forgiven_at"],
            select(
                func.unnest(array(keys)),
                literal(1),
                now,
                now,
                now + _make_interval(func.unnest(array([literal(each) for each in seconds]))),
            ),
        )
        .on_conflict_do_update(index_elements=[table.key], set_=values, where=table.free_at <= now)
        .returning(table.key)
    )


def _make_interval(seconds: ColumnElement[float]) -> ColumnElement[timedelta]:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)
