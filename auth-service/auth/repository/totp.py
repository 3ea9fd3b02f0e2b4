"""Queries for the secrets of authenticator apps and for recovery codes."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from auth.tables import recovery_codes, totp_secrets, users


def find_secret(connection: Connection, user_id: UUID) -> str | None:
    """Return the user's secret, confirmed or not."""
    query = select(totp_secrets.c.secret).where(totp_secrets.c.user_id == user_id)
    return connection.execute(query).scalar()


def replace_secret(connection: Connection, user_id: UUID, secret: str) -> None:
    """Store a secret that is not confirmed yet, in place of an earlier one."""
    fresh = {"secret": secret, "created_at": func.now(), "last_step": 0}
    statement = upsert(totp_secrets).values(user_id=user_id, **fresh)
    connection.execute(statement.on_conflict_do_update(index_elements=[totp_secrets.c.user_id], set_=fresh))


def use_step(connection: Connection, user_id: UUID, secret: str, step: int) -> bool:
    """Use up the codes of a time step and of those before; return False if this one is used up already.

    It is a single statement, so that of two concurrent log-ins with one code only one succeeds.
    """
    unused = (
        totp_secrets.c.user_id == user_id,
        totp_secrets.c.secret == secret,
        totp_secrets.c.last_step < step,
    )
    return connection.execute(update(totp_secrets).where(*unused).values(last_step=step)).rowcount == 1


def turn_on(connection: Connection, user_id: UUID, code_hashes: Iterable[bytes]) -> None:
    """Let log-ins need a code of the stored secret, or one of these recovery codes."""
    connection.execute(update(users).where(users.c.id == user_id).values(totp_confirmed_at=func.now()))
    rows = [{"user_id": user_id, "code_hash": code_hash} for code_hash in code_hashes]
    connection.execute(insert(recovery_codes), rows)


def turn_off(connection: Connection, user_id: UUID) -> None:
    """Let log-ins need no code; delete the secret and, with it, the recovery codes."""
    connection.execute(update(users).where(users.c.id == user_id).values(totp_confirmed_at=None))
    connection.execute(delete(totp_secrets).where(totp_secrets.c.user_id == user_id))


def use_recovery_code(connection: Connection, user_id: UUID, code_hash: bytes) -> bool:
    """Delete a recovery code; return False if the user does not have it.

    Of two concurrent deletions of a row, only one finds it.
    """
    chosen = recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code_hash
    return connection.execute(delete(recovery_codes).where(*chosen)).rowcount == 1


def count_recovery_codes(connection: Connection, user_id: UUID) -> int:
    """Return how many recovery codes the user has left."""
    count = select(func.count()).where(recovery_codes.c.user_id == user_id)
    return connection.execute(count).scalar_one()
