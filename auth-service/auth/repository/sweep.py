"""What is over, and may be removed."""

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, tuple_

from auth.domain import GUEST_LIFE, PER_ACCOUNT, PLACE_LIFE
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


def remove_over(connection: Connection, table: Table, limit: int) -> int:
    """Remove rows that are over, but none that another replica is removing; return how many."""
    key = list(table.primary_key.columns)
    over = select(*key).where(OVER[table]).limit(limit).with_for_update(of=table, skip_locked=True)
    return connection.execute(delete(table).where(tuple_(*key).in_(over))).rowcount
