"""Queries for sessions, refresh tokens and sign-offs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    DateTime,
    Interval,
    Row,
    Text,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from auth.domain.accounts import GRACE, IDLE_LIFE, WHOLE_LIFE, Session, Visitor
from auth.tables import refresh_tokens, sessions, sign_offs, users

# A sign-off is kept for this long after its tokens expire: clocks differ, and a token is signed after its
# session is stored.
SIGN_OFF_LEEWAY = timedelta(seconds=60)

LIVE = and_(
    sessions.c.ended_at.is_(None),
    sessions.c.expires_at > func.now(),
    sessions.c.last_used_at > func.now() - IDLE_LIFE,
)
# The columns of `Session`, so all but the secret.
COLUMNS = [column for column in sessions.c if column.name != "secret"]

IS_FRESH = refresh_tokens.c.expires_at > func.now()
IS_UNUSED = refresh_tokens.c.used_at.is_(None)
IN_GRACE = refresh_tokens.c.used_at > func.now() - GRACE
IS_SIGNED_OFF = sign_offs.c.until > func.now()

# Built once, because these statements run for every visitor and building one takes longer than sending it.
PRESENTED = refresh_tokens.c.hash == bindparam("presented")
TOKENS_UNTIL = func.now() + bindparam("life", type_=Interval)
SECONDS_LEFT = func.date_part("epoch", refresh_tokens.c.expires_at - func.now())
# One statement adds a session and its first refresh token, and for a guest also the user.
NEW_SESSION = (
    insert(sessions)
    .values(
        **{
            name: bindparam(f"session_{name}", type_=sessions.c[name].type)
            for name in ("id", "user_id", "guest_sub", "secret", "address", "user_agent")
        },
        expires_at=func.now() + WHOLE_LIFE,
        tokens_until=TOKENS_UNTIL,
    )
    .returning(sessions.c.id, sessions.c.expires_at)
    .cte("new_session")
)
NEW_GUEST = (
    insert(users)
    .values(
        {
            users.c.id: bindparam("session_user_id", type_=users.c.id.type),
            users.c.username: bindparam("guest_name", type_=Text),
            users.c.role: "guest",
        }
    )
    .cte("new_guest")
)
INSERT_SESSION = (
    insert(refresh_tokens)
    .from_select(
        ["hash", "session_id", "expires_at"],
        select(
            bindparam("presented", type_=refresh_tokens.c.hash.type),
            NEW_SESSION.c.id,
            func.least(func.now() + IDLE_LIFE, NEW_SESSION.c.expires_at),
        ),
    )
    .returning(SECONDS_LEFT)
)
INSERT_GUEST_SESSION = INSERT_SESSION.add_cte(NEW_GUEST)
SESSION_END = select(sessions.c.expires_at).where(sessions.c.id == bindparam("session")).scalar_subquery()
INSERT_REFRESH_TOKEN = (
    insert(refresh_tokens)
    .values(expires_at=func.least(func.now() + IDLE_LIFE, SESSION_END))
    .returning(SECONDS_LEFT)
)
LOCK_SESSION_OF = (
    select(sessions)
    .join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
    .where(PRESENTED, LIVE)
    .with_for_update(of=sessions)
)
FIND_SESSION_OF = (
    select(*COLUMNS)
    .join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
    .where(PRESENTED, LIVE, IS_FRESH, IS_UNUSED | IN_GRACE)
)
USE_REFRESH_TOKEN = update(refresh_tokens).where(PRESENTED, IS_FRESH, IS_UNUSED).values(used_at=func.now())
RENEW_SESSION = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"))
    .values(last_used_at=func.now(), tokens_until=func.greatest(sessions.c.tokens_until, TOKENS_UNTIL))
)
FIND_SIGNED_OFF = (
    select(sign_offs.c.id)
    .where(sign_offs.c.id == func.any(bindparam("ids", type_=ARRAY(Text))), IS_SIGNED_OFF)
    .limit(1)
)
READ_SIGNED_OFF = select(sign_offs.c.id).where(IS_SIGNED_OFF).order_by(sign_offs.c.id)
READ_CHANGED = READ_SIGNED_OFF.where(
    sign_offs.c.changed_at > bindparam("since", type_=DateTime(timezone=True))
)


def insert_session(
    connection: Connection,
    session_id: UUID,
    user_id: UUID,
    visitor: Visitor,
    *,
    secret: bytes,
    token_hash: bytes,
    token_seconds: int,
    guest_sub: str | None = None,
    guest_name: str | None = None,
) -> int:
    """Add a session and its first refresh token; with `guest_name`, also add the guest that owns the session.

    The first access token lives for `token_seconds`. Return the life of the refresh token in seconds.
    """
    values = {
        "session_id": session_id,
        "session_user_id": user_id,
        "session_guest_sub": guest_sub,
        "session_secret": secret,
        "session_address": visitor.address,
        "session_user_agent": visitor.user_agent,
        "life": timedelta(seconds=token_seconds),
        "presented": token_hash,
    }
    if guest_name is None:
        return int(connection.execute(INSERT_SESSION, values).scalar_one())
    return int(connection.execute(INSERT_GUEST_SESSION, {**values, "guest_name": guest_name}).scalar_one())


def insert_refresh_token(connection: Connection, token_hash: bytes, session_id: UUID) -> int:
    """Add a refresh token that expires with its session at the latest; return its life in seconds."""
    values = {"hash": token_hash, "session_id": session_id, "session": session_id}
    return int(connection.execute(INSERT_REFRESH_TOKEN, values).scalar_one())


def lock_session_of(connection: Connection, token_hash: bytes) -> tuple[Session, bytes] | None:
    """Return the live session of a refresh token and its secret; lock it until the transaction ends."""
    row = connection.execute(LOCK_SESSION_OF, {"presented": token_hash}).first()
    return (_session(row), row.secret) if row else None


def find_session_of(connection: Connection, token_hash: bytes) -> Session | None:
    """Return the live session of a refresh token that is unused or was used within the grace period."""
    row = connection.execute(FIND_SESSION_OF, {"presented": token_hash}).first()
    return _session(row) if row else None


def use_refresh_token(connection: Connection, token_hash: bytes) -> bool:
    """Mark a live token as used; return False if it is used or expired."""
    return connection.execute(USE_REFRESH_TOKEN, {"presented": token_hash}).rowcount == 1


def was_used(connection: Connection, token_hash: bytes) -> bool:
    """Return whether the token was ever used."""
    query = select(refresh_tokens.c.hash).where(refresh_tokens.c.hash == token_hash, ~IS_UNUSED)
    return connection.execute(query).first() is not None


def may_be_repeated(connection: Connection, token_hash: bytes, successor_hash: bytes) -> int | None:
    """Return the seconds left of an unused successor if the token was used within the grace period."""
    just_used = select(refresh_tokens.c.hash).where(refresh_tokens.c.hash == token_hash, IN_GRACE)
    successor = select(SECONDS_LEFT).where(
        refresh_tokens.c.hash == successor_hash, IS_FRESH, IS_UNUSED, just_used.exists()
    )
    found = connection.execute(successor).scalar()
    return None if found is None else int(found)


def renew_session(connection: Connection, session_id: UUID, visitor: Visitor, token_seconds: int) -> None:
    """Record a new access token of the session, and where it was requested from."""
    values = {
        "session": session_id,
        "life": timedelta(seconds=token_seconds),
        "address": visitor.address,
        "user_agent": visitor.user_agent,
    }
    connection.execute(RENEW_SESSION, values)


def end_sessions(
    connection: Connection,
    *,
    session_id: UUID | None = None,
    user_id: UUID | None = None,
    kept: UUID | None = None,
) -> list[UUID]:
    """End one live session or all of a user's but `kept`; sign off their tokens and return the ended ones."""
    chosen = sessions.c.id == session_id if session_id else sessions.c.user_id == user_id
    ended = (
        update(sessions)
        .where(chosen, LIVE, sessions.c.id.is_distinct_from(kept))
        .values(ended_at=func.now())
        .returning(sessions.c.id, sessions.c.tokens_until)
    )
    rows = connection.execute(ended).all()
    for row in rows:
        insert_sign_off(connection, str(row.id), row.tokens_until)
    return [row.id for row in rows]


def read_live_sessions(connection: Connection, user_id: UUID) -> list[Session]:
    """Return the user's live sessions, newest first."""
    newest_first = sessions.c.created_at.desc(), sessions.c.id.desc()
    query = select(*COLUMNS).where(sessions.c.user_id == user_id, LIVE).order_by(*newest_first)
    return [_session(row) for row in connection.execute(query)]


def find_live_session(connection: Connection, session_id: UUID) -> Session | None:
    """Return the live session with this id."""
    row = connection.execute(select(*COLUMNS).where(sessions.c.id == session_id, LIVE)).first()
    return _session(row) if row else None


def insert_sign_off(connection: Connection, identifier: str, until: datetime) -> None:
    """Sign off all tokens with this `sid` or `jti` until the last of them has expired."""
    statement = insert(sign_offs).values(id=identifier, until=until + SIGN_OFF_LEEWAY)
    later = {
        "until": func.greatest(sign_offs.c.until, statement.excluded.until),
        "changed_at": func.now(),
    }
    connection.execute(statement.on_conflict_do_update(index_elements=[sign_offs.c.id], set_=later))


def read_signed_off(connection: Connection, since: datetime | None = None) -> tuple[list[str], datetime]:
    """Return the signed-off ids, sorted, and the current time; `since` limits them to newer sign-offs."""
    now = connection.execute(select(func.now())).scalar_one()
    if since is None:
        return list(connection.execute(READ_SIGNED_OFF).scalars()), now
    return list(connection.execute(READ_CHANGED, {"since": since}).scalars()), now


def is_signed_off(connection: Connection, identifiers: Iterable[str]) -> bool:
    """Return whether one of the ids is signed off."""
    return connection.execute(FIND_SIGNED_OFF, {"ids": list(identifiers)}).first() is not None


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(**{name: value for name, value in row._mapping.items() if name != "secret"})
