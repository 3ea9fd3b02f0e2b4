"""Queries for the admins' list of users."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, or_, select, update

from auth.domain.accounts import User, parse_id
from auth.repository.users import COLUMNS
from auth.tables import users


def read_users(
    connection: Connection,
    *,
    q: str | None,
    role: str | None,
    disabled: bool | None,
    limit: int,
    before: UUID | None,
) -> list[User]:
    """Return users, newest first; `before` is the last id of the previous page.

    `q` is a user id, or a part of the name or the e-mail address; the search ignores case and accents.
    """
    query = select(*COLUMNS).order_by(users.c.id.desc()).limit(limit)
    if q is not None:
        # A query of accents alone folds to the empty string, which every text contains; NULL matches nothing.
        sought = func.nullif(func.fold(q), "")
        parts = [func.strpos(func.fold(column), sought) > 0 for column in (users.c.username, users.c.email)]
        user_id = parse_id(q)
        query = query.where(or_(*parts, users.c.id == user_id) if user_id else or_(*parts))
    if role is not None:
        query = query.where(users.c.role == role)
    if disabled is not None:
        query = query.where(users.c.disabled.is_(disabled))
    if before is not None:
        query = query.where(users.c.id < before)
    return [User(**row._mapping) for row in connection.execute(query)]


def lock_admins(connection: Connection) -> list[UUID]:
    """Return the admins who can log in, and lock them until the transaction ends."""
    query = (
        select(users.c.id)
        .where(users.c.role == "admin", users.c.disabled.is_(False))
        .order_by(users.c.id)
        .with_for_update(key_share=True)
    )
    return list(connection.execute(query).scalars())


def update_user(connection: Connection, user_id: UUID, changes: dict[str, Any]) -> User:
    """Change a user and return the changed account."""
    statement = update(users).where(users.c.id == user_id).values(changes).returning(*COLUMNS)
    return User(**connection.execute(statement).one()._mapping)
