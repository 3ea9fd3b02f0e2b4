"""Sessions: a log-in starts one, refresh tokens continue it, and a sign-out or an admin ends it."""

import base64
import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from auth.domain.accounts import ROLE_WITHOUT_TOTP, Session, SignIn, User, Visitor, parse_id
from auth.domain.credentials import GUEST_PREFIX
from auth.errors import RefreshTokenInvalid, WrongCredentials
from auth.issuer import TokenIssuer
from auth.repository import sessions, users
from shared import audit_trail
from shared.context import Caller
from shared.database import Connection, Database
from shared.errors import NotFound
from shared.ids import new_id

LATE_COMMITS = timedelta(seconds=30)  # The longest expected transaction that signs off.
REFRESH_PREFIX = "sfr_"  # It lets secret scanners recognize a leaked token.


@dataclass(frozen=True)
class NewSession:
    """A session without an access token, which is signed after the transaction."""

    id: UUID
    user_id: UUID
    role: str
    has_totp: bool
    guest_sub: str | None
    refresh_token: str = field(repr=False)
    refresh_expires_in: int


def start_session(
    connection: Connection, user: User, visitor: Visitor, *, token_seconds: int, guest_sub: str | None = None
) -> NewSession:
    """Add a session of the user and its first refresh token.

    The account stays locked until the transaction ends, so that a transaction that disables it, changes its
    password or turns on two-factor authentication finds the session and ends it. Raises WrongCredentials if
    such a transaction came first.
    """
    found = users.share_user(connection, user.id)
    if (
        found is None
        or found.disabled
        or found.password_changed_at != user.password_changed_at
        or found.totp_confirmed_at != user.totp_confirmed_at
    ):
        raise WrongCredentials
    return _insert_session(
        connection,
        user.id,
        found.role,
        visitor,
        token_seconds=token_seconds,
        has_totp=found.has_totp,
        guest_sub=guest_sub,
    )


def insert_guest_session(connection: Connection, visitor: Visitor, *, token_seconds: int) -> NewSession:
    """Add a guest and the guest's first session; a new account needs no lock."""
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
    has_totp: bool = False,
    guest_sub: str | None = None,
    guest_name: str | None = None,
) -> NewSession:
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
    return NewSession(session_id, user_id, role, has_totp, guest_sub, token, seconds)


def sign_in(issuer: TokenIssuer, session: NewSession) -> SignIn:
    """Return the tokens of a stored session.

    The role is limited here, because all tokens of users are signed here: those of a log-in, of a changed
    password and of a refresh.
    """
    totp_required = issuer.needs_totp(session.role) and not session.has_totp
    access = issuer.issue(
        sub=str(session.user_id),
        role=ROLE_WITHOUT_TOTP if totp_required else session.role,
        sid=str(session.id),
        guest_sub=session.guest_sub,
    )
    return SignIn(
        access.access_token,
        access.expires_in,
        session.refresh_token,
        session.refresh_expires_in,
        True if totp_required else None,
    )


def refresh(database: Database, issuer: TokenIssuer, token: str, visitor: Visitor) -> SignIn:
    """Return new tokens for a refresh token, which can be used once; raise RefreshTokenInvalid.

    The new refresh token is derived from the old one, so that a client that lost the response can repeat the
    call within the grace period. Later reuse means that one of the two was stolen, and ends the session (RFC
    9700, section 4.14.2).
    """
    with database.transaction() as connection:
        continued = _continue(connection, token, visitor, issuer.seconds)
    # Raise after the transaction, so that the end of the session is committed.
    if continued is None:
        raise RefreshTokenInvalid
    return sign_in(issuer, continued)


def _continue(connection: Connection, token: str, visitor: Visitor, token_seconds: int) -> NewSession | None:
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
    return NewSession(session.id, user.id, user.role, user.has_totp, session.guest_sub, successor, seconds)


def _end_stolen(connection: Connection, session: Session, visitor: Visitor) -> None:
    end_session(connection, session.id)
    audit_trail.record(
        "auth.refresh.reused",
        "A refresh token was reused, so its session was ended",
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
            # The token has no live session, so sign off the token itself.
            sessions.insert_sign_off(
                connection, caller.session or caller.token_id, datetime.fromtimestamp(caller.expires_at, UTC)
            )
    audit_trail.record("auth.logout", "A user logged out", target=caller.session)


def list_own_sessions(database: Database, caller: Caller) -> list[Session]:
    """Return the caller's live sessions, newest first."""
    user_id = parse_id(caller.sub)
    if user_id is None:
        return []
    with database.transaction() as connection:
        return sessions.read_live_sessions(connection, user_id)


def end_own_session(database: Database, caller: Caller, session_id: UUID) -> None:
    """End one of the caller's sessions; raise NotFound if the caller has no such live session."""
    with database.transaction() as connection:
        end_session_of(connection, parse_id(caller.sub), session_id)
    audit_trail.record(
        "auth.session.ended",
        "A user ended a session",
        target=caller.sub,
        sessions=[str(session_id)],
    )


def end_session_of(connection: Connection, user_id: UUID | None, session_id: UUID) -> None:
    """End a user's session and sign off its tokens; raise NotFound if the user has no such live session."""
    session = sessions.find_live_session(connection, session_id)
    if session is None or session.user_id != user_id or not end_session(connection, session_id):
        raise NotFound


def end_session(connection: Connection, session_id: UUID) -> bool:
    """End a session and sign off its tokens; return False if it has already ended."""
    return bool(sessions.end_sessions(connection, session_id=session_id))


def end_sessions_of(connection: Connection, user_id: UUID) -> list[UUID]:
    """End all of a user's sessions and sign off their tokens; return the ended sessions.

    A caller that also changes the user does that first, because the lock on the row blocks new sessions.
    """
    return sessions.end_sessions(connection, user_id=user_id)


def read_signed_off(database: Database, since: datetime | None) -> tuple[list[str], datetime]:
    """Return the signed-off ids and the current time; `since` limits them to newer sign-offs.

    A sign-off has the start time of its transaction and becomes visible at the end, so the result also
    includes sign-offs from some seconds before `since`.
    """
    with database.transaction() as connection:
        return sessions.read_signed_off(connection, since - LATE_COMMITS if since else None)


def find_session(connection: Connection, token: str) -> Session | None:
    """Return the live session of a valid refresh token; None for any other string."""
    return sessions.find_session_of(connection, _hash(token))


def derive_successor(secret: bytes, token: str) -> str:
    """Return the next refresh token, which cannot be predicted without the session's secret."""
    mac = hmac.digest(secret, token.encode(), "sha256")
    return REFRESH_PREFIX + base64.urlsafe_b64encode(mac).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """Return the stored hash of a token; one round is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
