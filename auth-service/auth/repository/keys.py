"""Signing keys; every time is by the database's clock."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, text, update

from auth.domain import StoredKey
from auth.tables import signing_keys


def read_signing_keys(connection: Connection) -> list[StoredKey]:
    """Return every key, the one that signs last first."""
    query = select(signing_keys).order_by(signing_keys.c.signs_from.desc(), signing_keys.c.kid)
    return [StoredKey(**row._mapping) for row in connection.execute(query)]


def read_clock(connection: Connection) -> datetime:
    """Return the time, whenever the transaction began."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def lock_signing_keys(connection: Connection) -> None:
    """Keep others from changing the keys until the transaction ends; reading goes on."""
    connection.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))


def insert_first_signing_key(connection: Connection, kid: str, private_key: str) -> None:
    """Add a key that signs at once unless there is one, whoever else may be doing the same."""
    lock_signing_keys(connection)
    if not read_signing_keys(connection):
        connection.execute(insert(signing_keys).values(kid=kid, private_key=private_key))


def insert_signing_key(connection: Connection, kid: str, private_key: str, signs_from: datetime) -> None:
    """Add a key that signs from then on."""
    connection.execute(insert(signing_keys).values(kid=kid, private_key=private_key, signs_from=signs_from))


def update_signing_key(
    connection: Connection, kid: str, *, signs_from: datetime, verifies_until: datetime | None
) -> None:
    """Write down when a key signs, and how long it verifies; None is without end."""
    connection.execute(
        update(signing_keys)
        .where(signing_keys.c.kid == kid)
        .values(signs_from=signs_from, verifies_until=verifies_until)
    )


def delete_signing_key(connection: Connection, kid: str) -> None:
    """Remove a key."""
    connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))


def delete_dead_keys(connection: Connection) -> list[str]:
    """Remove the keys whose last token has died; return their ids."""
    dead = delete(signing_keys).where(signing_keys.c.verifies_until < func.now())
    return list(connection.execute(dead.returning(signing_keys.c.kid)).scalars())
