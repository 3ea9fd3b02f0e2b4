"""Queries for mailed links and verified addresses."""

from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from auth.domain.accounts import User
from auth.domain.links import LIVES, Link, Purpose
from auth.repository.users import COLUMNS
from auth.tables import link_tokens, users

LIVE = (link_tokens.c.used_at.is_(None), link_tokens.c.expires_at > func.now())
LINK = [link_tokens.c[name] for name in ("user_id", "purpose", "email", "password_changed_at")]


def insert_link(connection: Connection, token_hash: bytes, user: User, purpose: Purpose, email: str) -> None:
    """Record a link of a user; a later change of the password makes it void."""
    values = {
        "hash": token_hash,
        "user_id": user.id,
        "purpose": purpose,
        "email": email,
        "password_changed_at": user.password_changed_at,
        "expires_at": func.now() + LIVES[purpose],
    }
    connection.execute(insert(link_tokens).values(values))


def find_link(connection: Connection, token_hash: bytes, purpose: Purpose) -> Link | None:
    """Return the link of a token that is not used, void or expired."""
    query = (
        select(*LINK)
        .join(users, users.c.id == link_tokens.c.user_id)
        .where(
            link_tokens.c.hash == token_hash,
            link_tokens.c.purpose == purpose,
            *LIVE,
            users.c.disabled.is_(False),
            users.c.password_changed_at.is_not_distinct_from(link_tokens.c.password_changed_at),
        )
    )
    row = connection.execute(query).first()
    return Link(**{**row._mapping, "purpose": Purpose(row.purpose)}) if row else None


def use_link(connection: Connection, token_hash: bytes) -> bool:
    """Use a token up; return False if another call has."""
    used = update(link_tokens).where(link_tokens.c.hash == token_hash, *LIVE).values(used_at=func.now())
    return connection.execute(used).rowcount == 1


def void_resets(connection: Connection, user_id: UUID) -> None:
    """Void the unused links that would reset a user's password."""
    resets = (link_tokens.c.user_id == user_id, link_tokens.c.purpose == Purpose.RESET, *LIVE)
    connection.execute(update(link_tokens).where(*resets).values(used_at=func.now()))


def find_owner(connection: Connection, email: str) -> User | None:
    """Return the account with this verified address; case does not matter."""
    query = select(*COLUMNS).where(
        func.lower(users.c.email) == func.lower(email), users.c.email_verified_at.is_not(None)
    )
    row = connection.execute(query).first()
    return User(**row._mapping) if row else None


def read_claimants(connection: Connection, email: str, limit: int) -> list[User]:
    """Return accounts that name this address without having verified it, oldest first."""
    query = (
        select(*COLUMNS)
        .where(
            func.lower(users.c.email) == func.lower(email),
            users.c.email_verified_at.is_(None),
            users.c.disabled.is_(False),
            users.c.role != "guest",
        )
        .order_by(users.c.id)
        .limit(limit)
    )
    return [User(**row._mapping) for row in connection.execute(query)]


def verify_email(connection: Connection, user_id: UUID, email: str) -> bool:
    """Make an address the user's verified one; return False if it belongs to a different account."""
    verified = update(users).where(users.c.id == user_id).values(email=email, email_verified_at=func.now())
    try:
        # A savepoint, so that the transaction can go on after the index has refused.
        with connection.begin_nested():
            connection.execute(verified)
    except IntegrityError:
        return False
    return True


def set_email(connection: Connection, user_id: UUID, email: str) -> None:
    """Store an address that is yet to be verified."""
    connection.execute(update(users).where(users.c.id == user_id).values(email=email))
