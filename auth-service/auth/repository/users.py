"""Queries for users."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from auth.domain.accounts import User
from auth.domain.credentials import derive_skeletons
from auth.errors import UsernameTaken
from auth.repository.names import claim_skeletons
from auth.tables import users

COLUMNS = [column for column in users.c if column.name != "has_skeletons"]

# Built once, because these statements run for every visitor and building one takes longer than sending it.
FIND_BY_NAME = select(*COLUMNS).where(func.lower(users.c.username) == func.lower(bindparam("username")))
FIND_BY_EMAIL = select(*COLUMNS).where(
    func.lower(users.c.email) == func.lower(bindparam("email")), users.c.email_verified_at.is_not(None)
)
FIND_USER = select(*COLUMNS).where(users.c.id == bindparam("id"))
SHARE_USER = FIND_USER.with_for_update(read=True)
LOCK_USER = FIND_USER.with_for_update(key_share=True)
# The index on the name is the only constraint that a new row can violate.
INSERT_USER = insert(users).values(has_skeletons=True).on_conflict_do_nothing().returning(*COLUMNS)


def find_user_by_name(connection: Connection, username: str) -> User | None:
    """Return the user with this name; case does not matter."""
    return _user(connection.execute(FIND_BY_NAME, {"username": username}).first())


def find_user_at_login(connection: Connection, name: str) -> User | None:
    """Return the user with this name, or else with this verified email address."""
    user = find_user_by_name(connection, name)
    if user is None and "@" in name:
        user = _user(connection.execute(FIND_BY_EMAIL, {"email": name}).first())
    return user


def find_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user with this id."""
    return _user(connection.execute(FIND_USER, {"id": user_id}).first())


def share_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user, and block changes to the account until the transaction ends (FOR SHARE)."""
    return _user(connection.execute(SHARE_USER, {"id": user_id}).first())


def lock_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user, and lock the account until the transaction ends; `share_user` waits for it, too."""
    return _user(connection.execute(LOCK_USER, {"id": user_id}).first())


def read_accounts(connection: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these users that have an account."""
    query = select(users.c.id).where(users.c.id.in_(ids), users.c.role != "guest")
    return set(connection.execute(query).scalars())


def has_admin(connection: Connection) -> bool:
    """Return whether an admin exists who can log in."""
    admins = select(users.c.id).where(users.c.role == "admin", users.c.disabled.is_(False)).limit(1)
    return connection.execute(admins).first() is not None


def insert_user(
    connection: Connection, username: str, role: str, password_hash: str, email: str | None = None
) -> User:
    """Add a user and return it; raise UsernameTaken if the name or a look-alike is taken."""
    values = {"username": username, "role": role, "password_hash": password_hash, "email": email}
    user = _user(connection.execute(INSERT_USER, values).first())
    if user is None or not claim_skeletons(connection, user.id, derive_skeletons(username)):
        raise UsernameTaken
    return user


def promote_guest(
    connection: Connection, guest_id: UUID, username: str, password_hash: str, email: str | None
) -> User | None:
    """Turn a guest into a customer with this name; return None if the guest no longer exists.

    Raises UsernameTaken if the name or a look-alike is taken.
    """
    statement = (
        update(users)
        .where(users.c.id == guest_id, users.c.role == "guest", users.c.disabled.is_(False))
        .values(
            username=username, email=email, role="customer", password_hash=password_hash, has_skeletons=True
        )
        .returning(*COLUMNS)
    )
    try:
        user = _user(connection.execute(statement).first())
    except IntegrityError as error:
        raise UsernameTaken from error
    if user and not claim_skeletons(connection, user.id, derive_skeletons(username)):
        raise UsernameTaken
    return user


def change_password(connection: Connection, user_id: UUID, password_hash: str) -> User:
    """Change a user's password and return the changed account."""
    values = {"password_hash": password_hash, "password_changed_at": func.now()}
    changed = update(users).where(users.c.id == user_id).values(values).returning(*COLUMNS)
    return User(**connection.execute(changed).one()._mapping)


def renew_hash(connection: Connection, user: User, password_hash: str) -> None:
    """Store a new hash of the same password, unless the password was changed in the meantime."""
    unchanged = users.c.id == user.id, users.c.password_hash == user.password_hash
    connection.execute(update(users).where(*unchanged).values(password_hash=password_hash))


def disable_account(connection: Connection, user: User, password_hash: str) -> None:
    """Disable an account and replace its password, which stays invalid if the account is enabled again."""
    values = {"disabled": True, "password_hash": password_hash, "password_changed_at": func.now()}
    connection.execute(update(users).where(users.c.id == user.id).values(values))


def enable_as_admin(connection: Connection, user: User, password_hash: str) -> None:
    """Enable the account as an admin's, with a new password."""
    values = {
        "role": "admin",
        "disabled": False,
        "password_hash": password_hash,
        "password_changed_at": func.now(),
    }
    connection.execute(update(users).where(users.c.id == user.id).values(values))


def lock_users(connection: Connection) -> None:
    """Block new users by other transactions until this one ends; reads continue."""
    connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))


def _user(row: Row[tuple[object, ...]] | None) -> User | None:
    return User(**row._mapping) if row else None
