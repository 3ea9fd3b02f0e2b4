"""Users and signing keys."""

from alembic import op

revision = "0001"
down_revision = None

SCHEMA = """
CREATE TABLE users (
    id            uuid PRIMARY KEY DEFAULT uuidv7(),
    username      text NOT NULL,
    email         text,
    role          text NOT NULL CHECK (role IN ('guest', 'customer', 'admin')),
    password_hash text NOT NULL,
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- Case does not distinguish users.
CREATE UNIQUE INDEX users_username ON users (lower(username));

CREATE TABLE signing_keys (
    kid         text PRIMARY KEY,
    private_key text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(SCHEMA)
