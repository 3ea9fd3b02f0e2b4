"""What is over, and may be removed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, tuple_

from auth.domain import GUEST_IDLE, GUEST_LIFE, PER_ACCOUNT, PLACE_LIFE
from auth.tables import known_places, login_attempts, refresh_tokens, sessions, sign_offs, users

# Whoever has a refresh token that lives has a session that lives.
OVER: dict[Table, ColumnElement[bool]] = {
    refresh_tokens: refresh_tokens.c.expires_at < func.now(),
    sessions: sessions.c.expires_at < func.now(),
    sign_offs: sign_offs.c.until < func.now(),
    # Forgiven altogether: none of the counters takes longer than an account's.
    login_attempts: login_attempts.c.last_at
    < func.now() - login_attempts.c.level * PER_ACCOUNT.forgiven_after,
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


def remove_over(connection: Connection, table: Table, limit: int) -> int:
    """Remove rows that are over, but none that another replica is removing; return how many."""
    key = list(table.primary_key.columns)
    over = select(*key).where(OVER[table]).limit(limit).with_for_update(of=table, skip_locked=True)
    return connection.execute(delete(table).where(tuple_(*key).in_(over))).rowcount


def read_idle_guests(connection: Connection, after: UUID | None, limit: int) -> list[UUID]:
    """Return guests who have not been here for a day, in the order of their ids, from one of them on."""
    query = select(users.c.id).where(IS_IDLE_GUEST).order_by(users.c.id).limit(limit)
    return list(connection.execute(query.where(users.c.id > after) if after else query).scalars())


def delete_idle_guests(connection: Connection, guests: Sequence[UUID]) -> int:
    """Remove those of the guests who are still idle; return how many."""
    chosen = users.c.id.in_(guests)
    locked = select(users.c.id).where(chosen, users.c.role == "guest").with_for_update(skip_locked=True)
    held = list(connection.execute(locked.order_by(users.c.id)).scalars())
    # A refresh under way holds its session until that is renewed. A registration takes the account before its
    # sessions, and so does this.
    theirs = select(sessions.c.id).where(sessions.c.user_id.in_(held)).order_by(sessions.c.id)
    connection.execute(theirs.with_for_update())
    return connection.execute(delete(users).where(users.c.id.in_(held), IS_IDLE_GUEST)).rowcount
