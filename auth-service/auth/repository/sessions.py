"""Sessions, their refresh tokens, and what is signed off."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from auth.domain import GRACE, IDLE_LIFE, WHOLE_LIFE, Session, Visitor
from auth.tables import refresh_tokens, sessions, sign_offs

# So much later than its tokens a sign-off is forgotten: clocks differ, and a token is signed after its
# session was written down.
SIGN_OFF_LEEWAY = timedelta(seconds=60)

LIVE = and_(
    sessions.c.ended_at.is_(None),
    sessions.c.expires_at > func.now(),
    sessions.c.last_used_at > func.now() - IDLE_LIFE,
)
# All that there is to know about a session, without its secret.
KNOWN = [column for column in sessions.c if column.name != "secret"]


def insert_session(
    connection: Connection,
    session_id: UUID,
    user_id: UUID,
    visitor: Visitor,
    *,
    secret: bytes,
    token_seconds: int,
    guest_sub: str | None,
) -> None:
    """Add a session whose first access token lives so many seconds."""
    values = {
        "id": session_id,
        "user_id": user_id,
        "guest_sub": guest_sub,
        "secret": secret,
        "expires_at": func.now() + WHOLE_LIFE,
        "tokens_until": func.now() + timedelta(seconds=token_seconds),
        "address": visitor.address,
        "user_agent": visitor.user_agent,
    }
    connection.execute(insert(sessions).values(values))


def insert_refresh_token(connection: Connection, token_hash: bytes, session_id: UUID) -> int:
    """Add a token that lives as long as it may idle, but not longer than its session; return the seconds."""
    session_end = select(sessions.c.expires_at).where(sessions.c.id == session_id).scalar_subquery()
    end = func.least(func.now() + IDLE_LIFE, session_end)
    statement = insert(refresh_tokens).values(hash=token_hash, session_id=session_id, expires_at=end)
    seconds = func.date_part("epoch", refresh_tokens.c.expires_at - func.now())
    return int(connection.execute(statement.returning(seconds)).scalar_one())


def lock_session_of(connection: Connection, token_hash: bytes) -> tuple[Session, bytes] | None:
    """Return the live session of a refresh token, and its secret; nobody else changes it meanwhile."""
    row = connection.execute(
        select(sessions)
        .join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
        .where(refresh_tokens.c.hash == token_hash, LIVE)
        .with_for_update(of=sessions)
    ).first()
    return (_session(row), row.secret) if row else None


def find_session_of(connection: Connection, token_hash: bytes) -> Session | None:
    """Return the live session of a refresh token that may be used, or was a moment ago."""
    row = connection.execute(
        select(*KNOWN)
        .join(refresh_tokens, refresh_tokens.c.session_id == sessions.c.id)
        .where(refresh_tokens.c.hash == token_hash, LIVE, _is_fresh(), _is_unused() | _was_just_used())
    ).first()
    return _session(row) if row else None


def use_refresh_token(connection: Connection, token_hash: bytes) -> bool:
    """Mark a live token as used; return False if it was, or is over."""
    statement = (
        update(refresh_tokens)
        .where(refresh_tokens.c.hash == token_hash, _is_fresh(), _is_unused())
        .values(used_at=func.now())
    )
    return connection.execute(statement).rowcount == 1


def was_used(connection: Connection, token_hash: bytes) -> bool:
    """Tell whether the token was used up before, however long ago."""
    query = select(refresh_tokens.c.hash).where(refresh_tokens.c.hash == token_hash, ~_is_unused())
    return connection.execute(query).first() is not None


def may_be_repeated(connection: Connection, token_hash: bytes, successor_hash: bytes) -> int | None:
    """Return the seconds that the successor lives if the token was just used, and the successor was not."""
    just_used = select(refresh_tokens.c.hash).where(refresh_tokens.c.hash == token_hash, _was_just_used())
    seconds = func.date_part("epoch", refresh_tokens.c.expires_at - func.now())
    successor = select(seconds).where(
        refresh_tokens.c.hash == successor_hash, _is_fresh(), _is_unused(), just_used.exists()
    )
    found = connection.execute(successor).scalar()
    return None if found is None else int(found)


def renew_session(connection: Connection, session_id: UUID, visitor: Visitor, token_seconds: int) -> None:
    """Write down that another access token was had, and from where."""
    tokens_until = func.now() + timedelta(seconds=token_seconds)
    connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id)
        .values(
            last_used_at=func.now(),
            tokens_until=func.greatest(sessions.c.tokens_until, tokens_until),
            address=visitor.address,
            user_agent=visitor.user_agent,
        )
    )


def end_sessions(
    connection: Connection, *, session_id: UUID | None = None, user_id: UUID | None = None
) -> list[UUID]:
    """End one live session, or all of a user's, and sign their tokens off; return which."""
    chosen = sessions.c.id == session_id if session_id else sessions.c.user_id == user_id
    ended = (
        update(sessions)
        .where(chosen, LIVE)
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
    query = select(*KNOWN).where(sessions.c.user_id == user_id, LIVE).order_by(*newest_first)
    return [_session(row) for row in connection.execute(query)]


def find_live_session(connection: Connection, session_id: UUID) -> Session | None:
    """Return the session of that id unless it is over."""
    row = connection.execute(select(*KNOWN).where(sessions.c.id == session_id, LIVE)).first()
    return _session(row) if row else None


def insert_sign_off(connection: Connection, identifier: str, until: datetime) -> None:
    """Refuse every token of that sid, or with that jti, until the last of them has died."""
    statement = insert(sign_offs).values(id=identifier, until=until + SIGN_OFF_LEEWAY)
    later = func.greatest(sign_offs.c.until, statement.excluded.until)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[sign_offs.c.id], set_={"until": later})
    )


def read_signed_off(connection: Connection) -> list[str]:
    """Return every id that is signed off, sorted."""
    query = select(sign_offs.c.id).where(sign_offs.c.until > func.now()).order_by(sign_offs.c.id)
    return list(connection.execute(query).scalars())


def is_signed_off(connection: Connection, identifiers: Iterable[str]) -> bool:
    """Tell whether one of the ids is signed off."""
    query = select(sign_offs.c.id).where(
        sign_offs.c.id.in_(list(identifiers)), sign_offs.c.until > func.now()
    )
    return connection.execute(query.limit(1)).first() is not None


def _is_fresh() -> ColumnElement[bool]:
    return refresh_tokens.c.expires_at > func.now()


def _is_unused() -> ColumnElement[bool]:
    return refresh_tokens.c.used_at.is_(None)


def _was_just_used() -> ColumnElement[bool]:
    return refresh_tokens.c.used_at > func.now() - GRACE


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(**{name: value for name, value in row._mapping.items() if name != "secret"})
