"""Deletion of expired rows."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, tuple_

from auth.domain.accounts import GUEST_IDLE, GUEST_LIFE, PLACE_LIFE
from auth.domain.throttling import PER_ACCOUNT
from auth.tables import known_places, link_tokens, login_attempts, refresh_tokens, sessions, sign_offs, users

# A live refresh token always has a live session.
EXPIRED: dict[Table, ColumnElement[bool]] = {
    refresh_tokens: refresh_tokens.c.expires_at < func.now(),
    sessions: sessions.c.expires_at < func.now(),
    link_tokens: link_tokens.c.expires_at < func.now(),
    sign_offs: sign_offs.c.until < func.now(),
    # All tries are forgiven. A replica of an earlier release does not move `forgiven_at`, and counts no tries
    # for longer than those on an account.
    login_attempts: func.greatest(
        login_attempts.c.forgiven_at,
        login_attempts.c.last_at + login_attempts.c.level * PER_ACCOUNT.forgiven_after,
    )
    < func.now(),
    known_places: known_places.c.last_seen < func.now() - PLACE_LIFE,
    users: and_(
        users.c.role == "guest",
        users.c.created_at < func.now() - GUEST_LIFE,
        ~select(sessions.c.id).where(sessions.c.user_id == users.c.id).exists(),
    ),
}
IS_IDLE_GUEST = and_(
    users.c.role == "guest",
    users.c.created_at < func.now() - GUEST_IDLE,
    ~select(sessions.c.id)
    .where(sessions.c.user_id == users.c.id, sessions.c.last_used_at > func.now() - GUEST_IDLE)
    .exists(),
)


def delete_expired(connection: Connection, table: Table, limit: int) -> int:
    """Delete expired rows, and skip rows that another replica is deleting; return how many."""
    key = list(table.primary_key.columns)
    expired = select(*key).where(EXPIRED[table]).limit(limit).with_for_update(of=table, skip_locked=True)
    return connection.execute(delete(table).where(tuple_(*key).in_(expired))).rowcount


def read_idle_guests(connection: Connection, after: UUID | None, limit: int) -> list[UUID]:
    """Return guests without activity for a day, ordered by id; `after` is the last id of the batch before."""
    query = select(users.c.id).where(IS_IDLE_GUEST).order_by(users.c.id).limit(limit)
    return list(connection.execute(query.where(users.c.id > after) if after else query).scalars())


def delete_idle_guests(connection: Connection, guests: Sequence[UUID]) -> int:
    """Delete the guests, of those given, who are still idle; return how many."""
    chosen = users.c.id.in_(guests)
    locked = select(users.c.id).where(chosen, users.c.role == "guest").with_for_update(skip_locked=True)
    owned = list(connection.execute(locked.order_by(users.c.id)).scalars())
    # A running refresh keeps its session locked until it has renewed it. A registration locks the account
    # before the sessions, so this function uses the same order.
    theirs = select(sessions.c.id).where(sessions.c.user_id.in_(owned)).order_by(sessions.c.id)
    connection.execute(theirs.with_for_update())
    return connection.execute(delete(users).where(users.c.id.in_(owned), IS_IDLE_GUEST)).rowcount
