"""Users."""

from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from auth.domain import User, derive_skeletons
from auth.errors import UsernameTaken
from auth.repository.names import claim_skeletons
from auth.tables import users

KNOWN = [column for column in users.c if column.name != "has_skeletons"]

# What is run for everybody who comes is made once: to make a statement takes longer than to send it.
FIND_BY_NAME = select(*KNOWN).where(func.lower(users.c.username) == func.lower(bindparam("username")))
FIND_USER = select(*KNOWN).where(users.c.id == bindparam("id"))
HOLD_USER = FIND_USER.with_for_update(read=True)
LOCK_USER = FIND_USER.with_for_update(key_share=True)
# The index on the name is the only constraint that a new row can break.
INSERT_USER = insert(users).values(has_skeletons=True).on_conflict_do_nothing().returning(*KNOWN)


def find_user_by_name(connection: Connection, username: str) -> User | None:
    """Return the user of that name, in whatever case it is written."""
    return _user(connection.execute(FIND_BY_NAME, {"username": username}).first())


def find_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user of that id."""
    return _user(connection.execute(FIND_USER, {"id": user_id}).first())


def hold_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user; nobody changes the account until the transaction ends."""
    return _user(connection.execute(HOLD_USER, {"id": user_id}).first())


def lock_user(connection: Connection, user_id: UUID) -> User | None:
    """Return the user; nobody else changes or holds the account until the transaction ends."""
    return _user(connection.execute(LOCK_USER, {"id": user_id}).first())


def has_admin(connection: Connection) -> bool:
    """Tell whether there is an admin who can log in."""
    admins = select(users.c.id).where(users.c.role == "admin", users.c.disabled.is_(False)).limit(1)
    return connection.execute(admins).first() is not None


def insert_user(
    connection: Connection, username: str, role: str, password_hash: str, email: str | None = None
) -> User:
    """Add a user and return it; raise UsernameTaken if the name or one that looks like it is taken."""
    values = {"username": username, "role": role, "password_hash": password_hash, "email": email}
    user = _user(connection.execute(INSERT_USER, values).first())
    if user is None or not claim_skeletons(connection, user.id, derive_skeletons(username)):
        raise UsernameTaken
    return user


def promote_guest(
    connection: Connection, guest_id: UUID, username: str, password_hash: str, email: str | None
) -> User | None:
    """Make a guest the customer of that name; None if there is no such guest any more.

    Raises UsernameTaken if the name or one that looks like it is taken.
    """
    statement = (
        update(users)
        .where(users.c.id == guest_id, users.c.role == "guest", users.c.disabled.is_(False))
        .values(
            username=username, email=email, role="customer", password_hash=password_hash, has_skeletons=True
        )
        .returning(*KNOWN)
    )
    try:
        user = _user(connection.execute(statement).first())
    except IntegrityError as error:
        raise UsernameTaken from error
    if user and not claim_skeletons(connection, user.id, derive_skeletons(username)):
        raise UsernameTaken
    return user


def change_password(connection: Connection, user_id: UUID, password_hash: str) -> User:
    """Give a user another password, and return the account as it is now."""
    values = {"password_hash": password_hash, "password_changed_at": func.now()}
    changed = update(users).where(users.c.id == user_id).values(values).returning(*KNOWN)
    return User(**connection.execute(changed).one()._mapping)


def renew_hash(connection: Connection, user: User, password_hash: str) -> None:
    """Store another hash of the password that the user has, unless it is another by now."""
    unchanged = users.c.id == user.id, users.c.password_hash == user.password_hash
    connection.execute(update(users).where(*unchanged).values(password_hash=password_hash))


def close_account(connection: Connection, user: User, password_hash: str) -> None:
    """Let nobody log in to the account, nor with the password that it had if it is opened again."""
    values = {"disabled": True, "password_hash": password_hash, "password_changed_at": func.now()}
    connection.execute(update(users).where(users.c.id == user.id).values(values))


def reopen_as_admin(connection: Connection, user: User, password_hash: str) -> None:
    """Make the account an admin's, with another password."""
    values = {
        "role": "admin",
        "disabled": False,
        "password_hash": password_hash,
        "password_changed_at": func.now(),
    }
    connection.execute(update(users).where(users.c.id == user.id).values(values))


def lock_users(connection: Connection) -> None:
    """Keep others from adding users until the transaction ends; reading goes on."""
    connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))


def _user(row: Row[tuple[object, ...]] | None) -> User | None:
    return User(**row._mapping) if row else None
