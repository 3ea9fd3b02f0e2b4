"""The tables, and every statement that touches them."""

from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    MetaData,
    Row,
    Table,
    Text,
    Uuid,
    func,
    insert,
    select,
    text,
    update,
)

from auth.domain import User
from shared.ids import new_id

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("username", Text, nullable=False),
    Column("email", Text),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("users_username", func.lower(users.c.username), unique=True)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_key", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


def find_user_by_name(connection: Connection, username: str) -> User | None:
    """Return the user of that name, in whatever case it is written."""
    return _user(
        connection.execute(select(users).where(func.lower(users.c.username) == func.lower(username))).first()
    )


def find_user(connection: Connection, user_id: str) -> User | None:
    """Return the user of that id."""
    return _user(connection.execute(select(users).where(func.cast(users.c.id, Text) == user_id)).first())


def has_admin(connection: Connection) -> bool:
    """Tell whether there is an admin who can log in."""
    admins = select(users.c.id).where(users.c.role == "admin", users.c.disabled.is_(False)).limit(1)
    return connection.execute(admins).first() is not None


def insert_user(connection: Connection, username: str, role: str, password_hash: str) -> None:
    """Add a user."""
    connection.execute(insert(users).values(username=username, role=role, password_hash=password_hash))


def insert_guest(connection: Connection) -> UUID:
    """Add a guest, with a name that is made of the id; return the id."""
    user_id = new_id()
    connection.execute(insert(users).values(id=user_id, username=f"guest-{user_id}", role="guest"))
    return user_id


def replace_password(connection: Connection, username: str, password_hash: str, *, disabled: bool) -> None:
    """Give a user another password, and open or close the account."""
    values = {"password_hash": password_hash, "disabled": disabled}
    connection.execute(
        update(users).where(func.lower(users.c.username) == func.lower(username)).values(values)
    )


def lock_users(connection: Connection) -> None:
    """Keep others from adding users until the transaction ends; reading goes on."""
    connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))


def read_signing_keys(connection: Connection) -> list[tuple[str, str]]:
    """Return key id and private key (PEM) of every key, newest first."""
    newest_first = signing_keys.c.created_at.desc(), signing_keys.c.kid
    rows = connection.execute(select(signing_keys).order_by(*newest_first))
    return [(row.kid, row.private_key) for row in rows]


def insert_first_signing_key(connection: Connection, kid: str, private_key: str) -> None:
    """Add a key unless there is one, whoever else may be doing the same."""
    connection.execute(text("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"))
    if not read_signing_keys(connection):
        connection.execute(insert(signing_keys).values(kid=kid, private_key=private_key))


def _user(row: Row[tuple[object, ...]] | None) -> User | None:
    return User(**row._mapping) if row else None
