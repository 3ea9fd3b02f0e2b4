"""Queries for signing keys; every time is from the database's clock."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, text, update

from auth.domain.signing_keys import StoredKey
from auth.tables import signing_keys


def read_signing_keys(connection: Connection) -> list[StoredKey]:
    """Return all keys, latest `signs_from` first."""
    query = select(signing_keys).order_by(signing_keys.c.signs_from.desc(), signing_keys.c.kid)
    return [StoredKey(**row._mapping) for row in connection.execute(query)]


def read_clock(connection: Connection) -> datetime:
    """Return the current time, not the start of the transaction."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def lock_signing_keys(connection: Connection) -> None:
    """Block changes to the keys by other transactions until this one ends; reads continue."""
    connection.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))


def insert_first_signing_key(connection: Connection, kid: str, private_key: str) -> None:
    """Add a key that signs at once if there is none yet; safe for concurrent callers."""
    lock_signing_keys(connection)
    if not read_signing_keys(connection):
        connection.execute(insert(signing_keys).values(kid=kid, private_key=private_key))


def insert_signing_key(connection: Connection, kid: str, private_key: str, signs_from: datetime) -> None:
    """Add a key that signs from the given time."""
    connection.execute(insert(signing_keys).values(kid=kid, private_key=private_key, signs_from=signs_from))


def update_signing_key(
    connection: Connection, kid: str, *, signs_from: datetime, verifies_until: datetime | None
) -> None:
    """Set when a key starts to sign, and until when it verifies (None: no end)."""
    connection.execute(
        update(signing_keys)
        .where(signing_keys.c.kid == kid)
        .values(signs_from=signs_from, verifies_until=verifies_until)
    )


def delete_signing_key(connection: Connection, kid: str) -> None:
    """Delete a key."""
    connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))


def delete_expired_signing_keys(connection: Connection) -> list[str]:
    """Delete the keys whose last token has expired; return their ids."""
    expired = delete(signing_keys).where(signing_keys.c.verifies_until < func.now())
    return list(connection.execute(expired.returning(signing_keys.c.kid)).scalars())
