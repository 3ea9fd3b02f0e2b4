"""Sessions: begun by a log-in, carried on by refresh tokens, ended by a sign-out or from outside."""

import base64
import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from auth import audit
from auth.domain import GUEST_PREFIX, Session, SignIn, User, Visitor, parse_id
from auth.errors import RefreshTokenInvalid, WrongCredentials
from auth.issuer import TokenIssuer
from auth.repository import sessions, users
from shared.context import Caller
from shared.database import Connection, Database
from shared.ids import new_id

LATE_COMMITS = timedelta(seconds=30)  # For which a transaction that signs off may last.
REFRESH_PREFIX = "sfr_"  # So that a token that lies around somewhere is known for what it is.


@dataclass(frozen=True)
class BegunSession:
    """A session that has no access token yet: that one is signed after the transaction."""

    id: UUID
    user_id: UUID
    role: str
    guest_sub: str | None
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


def begin_session(
    connection: Connection, user: User, visitor: Visitor, *, token_seconds: int, guest_sub: str | None = None
) -> BegunSession:
    """Add a session of the user and its first refresh token.

    The account is held as it is until the transaction ends, so that whoever shuts it or changes its password
    finds the session and ends it. Raises WrongCredentials if that was done a moment before.
    """
    found = users.hold_user(connection, user.id)
    if found is None or found.disabled or found.password_changed_at != user.password_changed_at:
        raise WrongCredentials
    return _insert_session(
        connection, user.id, found.role, visitor, token_seconds=token_seconds, guest_sub=guest_sub
    )


def begin_guest_session(connection: Connection, visitor: Visitor, *, token_seconds: int) -> BegunSession:
    """Add a guest and begin the guest's session. A new account has no other session to wait for."""
    guest_id = new_id()
    return _insert_session(
        connection,
        guest_id,
        "guest",
        visitor,
        token_seconds=token_seconds,
        guest_name=f"{GUEST_PREFIX}{guest_id}",
    )


def _insert_session(
    connection: Connection,
    user_id: UUID,
    role: str,
    visitor: Visitor,
    *,
    token_seconds: int,
    guest_sub: str | None = None,
    guest_name: str | None = None,
) -> BegunSession:
    session_id = new_id()
    token = REFRESH_PREFIX + secrets.token_urlsafe(32)
    seconds = sessions.insert_session(
        connection,
        session_id,
        user_id,
        visitor,
        secret=secrets.token_bytes(32),
        token_hash=_hash(token),
        token_seconds=token_seconds,
        guest_sub=guest_sub,
        guest_name=guest_name,
    )
    return BegunSession(session_id, user_id, role, guest_sub, token, seconds)


def sign_in(issuer: TokenIssuer, begun: BegunSession) -> SignIn:
    """Return the tokens of a session that is written down."""
    access = issuer.issue(
        sub=str(begun.user_id), role=begun.role, sid=str(begun.id), guest_sub=begun.guest_sub
    )
    return SignIn(access.access_token, access.expires_in, begun.refresh_token, begun.refresh_expires_in)


def refresh(database: Database, issuer: TokenIssuer, token: str, visitor: Visitor) -> SignIn:
    """Return new tokens for a refresh token, which is used up by it; raise RefreshTokenInvalid.

    The successor follows from the token, so that for a moment whoever lost the answer gets it again. A token
    that comes back later was stolen, or its successor was: the session ends (RFC 9700, section 4.14.2).
    """
    with database.transaction() as connection:
        continued = _continue(connection, token, visitor, issuer.seconds)
    # After the transaction: it may have ended the session, and that must stand.
    if continued is None:
        raise RefreshTokenInvalid
    return sign_in(issuer, continued)


def _continue(
    connection: Connection, token: str, visitor: Visitor, token_seconds: int
) -> BegunSession | None:
    presented = _hash(token)
    locked = sessions.lock_session_of(connection, presented)
    if locked is None:
        return None
    session, secret = locked
    user = users.find_user(connection, session.user_id)
    if user is None or user.disabled:
        return None
    successor = derive_successor(secret, token)
    if sessions.use_refresh_token(connection, presented):
        seconds = sessions.insert_refresh_token(connection, _hash(successor), session.id)
    elif not sessions.was_used(connection, presented):
        return None
    else:
        found = sessions.may_be_repeated(connection, presented, _hash(successor))
        if found is None:
            _end_stolen(connection, session, visitor)
            return None
        seconds = found
    sessions.renew_session(connection, session.id, visitor, token_seconds)
    return BegunSession(session.id, user.id, user.role, session.guest_sub, successor, seconds)


def _end_stolen(connection: Connection, session: Session, visitor: Visitor) -> None:
    end_session(connection, session.id)
    audit.record(
        "auth.refresh.reused",
        "A refresh token came back after its time, so its session was ended",
        actor=str(session.user_id),
        target=str(session.id),
        level=logging.WARNING,
        address=visitor.address,
    )


def log_out(database: Database, caller: Caller) -> None:
    """End the session of the caller's token."""
    with database.transaction() as connection:
        session_id = parse_id(caller.session or "")
        if session_id is None or not end_session(connection, session_id):
            # It is of no session that lives; the token itself must not live on, either.
            sign_off(
                connection, caller.session or caller.token_id, datetime.fromtimestamp(caller.expires_at, UTC)
            )
    audit.record("auth.logout", "A session was ended by its owner", target=caller.session)


def end_session(connection: Connection, session_id: UUID) -> bool:
    """End a session and sign its tokens off; return False if it is over already."""
    return bool(sessions.end_sessions(connection, session_id=session_id))


def end_sessions_of(connection: Connection, user_id: UUID) -> list[UUID]:
    """End all of a user's sessions and sign their tokens off; return which.

    Whoever also changes the user does that first: the row's lock keeps new sessions out meanwhile.
    """
    return sessions.end_sessions(connection, user_id=user_id)


def sign_off(connection: Connection, identifier: str, until: datetime) -> None:
    """Refuse the tokens of that `sid`, or the one of that `jti`, everywhere until they would have died."""
    sessions.insert_sign_off(connection, identifier, until)


def read_signed_off(database: Database, since: datetime | None) -> tuple[list[str], datetime]:
    """Return the ids that are signed off, or only those that are new since a moment; and the moment of now.

    A sign-off is dated by the beginning of its transaction and seen after its end, so that the changes begin
    some seconds before the moment.
    """
    with database.transaction() as connection:
        return sessions.read_signed_off(connection, since - LATE_COMMITS if since else None)


def find_session(connection: Connection, token: str) -> Session | None:
    """Return the live session of a refresh token that is good; None for any other string."""
    return sessions.find_session_of(connection, _hash(token))


def derive_successor(secret: bytes, token: str) -> str:
    """Return the refresh token that follows: nobody can tell it without the session's secret."""
    mac = hmac.digest(secret, token.encode(), "sha256")
    return REFRESH_PREFIX + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """Return what is kept of a token; it has 256 random bits, so one round is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
