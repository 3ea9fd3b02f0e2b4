"""The tables of auth-service, as `migrations/` creates them."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    and_,
    func,
    text,
)

from shared.outbox import make_endpoints, make_outbox

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
    Column("password_changed_at", DateTime(timezone=True)),
    Column("email_verified_at", DateTime(timezone=True)),
    Column("has_skeletons", Boolean, nullable=False, server_default=text("false")),
    Column("totp_confirmed_at", DateTime(timezone=True)),
)
Index("users_username", func.lower(users.c.username), unique=True)
Index("users_role", users.c.role, users.c.id)
Index("users_guests", users.c.created_at, postgresql_where=users.c.role == "guest")
Index(
    "users_without_skeletons",
    users.c.id,
    postgresql_where=and_(users.c.role != "guest", ~users.c.has_skeletons),
)

Index(
    "users_verified_email",
    func.lower(users.c.email),
    unique=True,
    postgresql_where=users.c.email_verified_at.is_not(None),
)
Index("users_email", func.lower(users.c.email), postgresql_where=users.c.email.is_not(None))

name_skeletons = Table(
    "name_skeletons",
    metadata,
    Column("skeleton", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Index("name_skeletons_user", "user_id"),
)

link_tokens = Table(
    "link_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("password_changed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Index("link_tokens_user", "user_id"),
    Index("link_tokens_expires", "expires_at"),
)

outbox = make_outbox(metadata)
outbox_endpoints = make_endpoints(metadata)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("guest_sub", Text),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_used_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("tokens_until", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("address", Text),
    Column("user_agent", Text),
    Index("sessions_user", "user_id"),
    Index("sessions_expires", "expires_at"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("session_id", Uuid, ForeignKey(sessions.c.id, ondelete="CASCADE"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Index("refresh_tokens_session", "session_id"),
    Index("refresh_tokens_expires", "expires_at"),
)

sign_offs = Table(
    "sign_offs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("sign_offs_until", "until"),
    Index("sign_offs_changed", "changed_at"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("level", Double, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("free_at", DateTime(timezone=True), nullable=False),
    Column("forgiven_at", DateTime(timezone=True)),
)

known_places = Table(
    "known_places",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("place_hash", LargeBinary, primary_key=True),
    Column("last_seen", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("known_places_seen", "last_seen"),
)

totp_secrets = Table(
    "totp_secrets",
    metadata,
    Column("user_id", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey(totp_secrets.c.user_id, ondelete="CASCADE"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_key", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("signs_from", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("verifies_until", DateTime(timezone=True)),
)

oauth_clients = Table(
    "oauth_clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("sid", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Uuid, ForeignKey(users.c.id, ondelete="SET NULL")),
)
